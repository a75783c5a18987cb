#!/bin/sh
# Gathers programs of this Debian with all that they need below /opt/slipway, so that they run in any image of the same
# processor: they name their loader and libraries by path (and by RPATH, which LD_LIBRARY_PATH of an image does not override),
# and nothing of the image is loaded into them. Programs are copied as Debian made them otherwise.
set -eu
here=$(dirname "$0")
top=/opt/slipway
mkdir -p "$top/bin" "$top/lib" "$top/libexec/git-core" "$top/applets" "$top/share" "$top/etc"

loader=$(patchelf --print-interpreter /usr/sbin/sshd)
loader_name=$(basename "$loader")

# take PROGRAM TO LIBRARY: copies a program and its libraries; LIBRARY, one of names/, becomes the first that it needs.
take() {
  cp -L "$1" "$2"
  for library in $(ldd "$1" | sed -n 's/^.*=> \(\/[^ ]*\) .*$/\1/p'); do
    [ -e "$top/lib/$(basename "$library")" ] || cp -L "$library" "$top/lib/"
  done
  set -- "$2" "$3"
  # One change at a time: patchelf 0.14 mixes up the words of two (seen: RPATH was the name of the library).
  patchelf --add-needed "$2" "$1"
  patchelf --force-rpath --set-rpath "$top/lib" "$1"
  patchelf --set-interpreter "$top/lib/$loader_name" "$1"
}

# Who a user is: see names/.
for variant in names "names sshd"; do
  name=libslipway-${variant##* }.so
  sources=$(for part in $variant; do echo "$here/names/$part.c"; done)
  # shellcheck disable=SC2086
  gcc -O2 -Wall -Wextra -Werror -shared -fPIC -s -Wl,-soname,"$name" -o "$top/lib/$name" $sources
done
cp -L "$loader" "$top/lib/$loader_name"

take /usr/sbin/sshd "$top/libexec/sshd" libslipway-sshd.so
# Sockets of forwarded agents are made in /tmp, which an image may not have, or not to write to; this name is as long.
sed -i 's|/tmp/ssh-XXXXXXXXXX\x00|/run/slipway/XXXXXX\x00|' "$top/libexec/sshd"
grep -q -a '/run/slipway/XXXXXX' "$top/libexec/sshd"
take /usr/lib/openssh/sftp-server "$top/libexec/sftp-server" libslipway-names.so
for program in ssh scp ssh-keygen ssh-add bash rsync; do
  take "$(command -v $program)" "$top/bin/$program" libslipway-names.so
done
take /bin/tar "$top/bin/tar" libslipway-names.so
# BusyBox has it only where it was built with it, and editors start their servers by it.
take /usr/bin/nohup "$top/bin/nohup" libslipway-names.so

# Git: what is part of the one program, transports over HTTPS, and submodules. A name of a part is looked for by git itself only.
git=$(git --exec-path)
take "$git/git" "$top/libexec/git-core/git" libslipway-names.so
take "$git/git-remote-http" "$top/libexec/git-core/git-remote-http" libslipway-names.so
ln -s git-remote-http "$top/libexec/git-core/git-remote-https"
for script in git-sh-setup git-sh-i18n git-submodule; do
  sed '1s|^#!.*|#!/opt/slipway/bin/sh|' "$git/$script" >"$top/libexec/git-core/$script"
  chmod 755 "$top/libexec/git-core/$script"
done
cp -R /usr/share/git-core/templates "$top/share/git-templates"
rm -f "$top"/share/git-templates/hooks/*.sample
# Git starts a shell by the path "/bin/sh", for credential helpers for one; by the name alone it looks for one in PATH, where
# ours is the last. The longest string with this end is the path itself.
sed -i 's|\x00/bin/sh\x00|\x00sh\x00\x00\x00\x00\x00\x00|g' "$top/libexec/git-core/git"
[ "$(grep -c -a -P '\x00/bin/sh\x00' "$top/libexec/git-core/git")" = 0 ]

for part in upload-pack receive-pack upload-archive; do
  ln -s git "$top/bin/git-$part"
done

# Static, so they need no more than themselves.
for program in listen calls; do
  gcc -O2 -Wall -Wextra -Werror -static -s -o "$top/libexec/$program" "$here/$program.c"
done
cp /bin/busybox "$top/bin/busybox"
ln -s busybox "$top/bin/sh"
for applet in $("$top/bin/busybox" --list); do
  ln -s ../bin/busybox "$top/applets/$applet"
done

# For terminals and HTTPS of images that have nothing of either.
cp -RL /lib/terminfo "$top/share/terminfo"
cp -L /etc/ssl/certs/ca-certificates.crt "$top/etc/ca-certificates.crt"

cp "$here"/bin/* "$top/bin/"
cp "$here/shell" "$here/path.sh" "$top/"
chmod -R u=rwX,go=rX "$top"
chmod 755 "$top"/bin/* "$top/shell"
