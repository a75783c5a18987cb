# Read by an interactive shell before its first prompt: gives back the folders of PATH that /etc/profile dropped.
_slipway=${SLIPWAY_PATH:+$SLIPWAY_PATH:}
while [ -n "$_slipway" ]; do
  case ":$PATH:" in *":${_slipway%%:*}:"*) ;; *) PATH=$PATH:${_slipway%%:*} ;; esac
  _slipway=${_slipway#*:}
done
unset _slipway
