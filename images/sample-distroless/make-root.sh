#!/bin/sh
# Makes the root file system of an image with one program, dynamically linked, and what it is linked to.
set -eu
root=/root-of-image
mkdir -p "$root/etc" "$root/tmp"
chmod 1777 "$root/tmp"
gcc -O2 -Wall -Wextra -Werror -s -o "$root/sample" /build/sample.c
for library in $(ldd "$root/sample" | grep -o '/[^ ]*'); do
  mkdir -p "$root$(dirname "$library")"
  cp -L "$library" "$root$library"
done
printf 'root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n' >"$root/etc/passwd"
printf 'root:x:0:\nnonroot:x:65532:\n' >"$root/etc/group"
