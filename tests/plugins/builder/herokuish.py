"""Two buildpacks that do what the public ones of Heroku for Python and Node.js do, as far as it touches the builder.

Written after what those do (github.com/heroku/heroku-buildpack-python, -nodejs): they link `/app/.heroku/python` to
what they install in BUILD_DIR and run it by that name; keep an archive in CACHE_DIR; put `.profile.d/*.sh` in bash
there; write `export` into their own directory; read ENV_DIR file by file; name what they download by STACK, with
`curl --retry`. Here the machine's own programs stand for what they would download.
"""

from collections.abc import Mapping

COMMON = """#!/usr/bin/env bash
set -euo pipefail
BUILD_DIR=$1 CACHE_DIR=$2 ENV_DIR=$3
BP_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
[[ $BUILD_DIR != "$HOME" ]] || { echo " !     BUILD_DIR is HOME"; exit 1; }
cd "$BUILD_DIR"
unset GIT_DIR

function archive() { # NAME PROGRAM: one runtime archive, from the cache or downloaded
  local kept="$CACHE_DIR/$STACK-$1.tar.gz"
  if [[ -f $kept ]]; then
    echo "-----> Using cached $1"
  else
    echo "-----> Downloading $1 for $STACK"
    if [[ -f $ENV_DIR/RUNTIME_URL ]]; then
      curl --fail --silent --show-error --retry 2 --retry-delay 1 --retry-connrefused --connect-timeout 2 \\
        "$(cat "$ENV_DIR/RUNTIME_URL")" -o "$kept.part" |& sed -u 's/^/       /'
    else
      local made; made=$(mktemp -d)
      mkdir "$made/bin" && ln -s "$(command -v "$2")" "$made/bin/$1"
      tar -czf "$kept.part" -C "$made" bin
    fi
    mv "$kept.part" "$kept"
  fi
  mkdir -p "$BUILD_DIR/.heroku/$1" && tar -xzf "$kept" -C "$BUILD_DIR/.heroku/$1"
}
"""

PYTHON: Mapping[str, str] = {
    "bin/detect": "#!/usr/bin/env bash\n[[ -f $1/requirements.txt ]] && echo Python\n",
    "bin/compile": COMMON
    + """
APP=$HOME # which is /app where there are walls
mkdir -p "$APP/.heroku" && ln -nsf "$BUILD_DIR/.heroku/python" "$APP/.heroku/python"
archive python python3
export PATH="$APP/.heroku/python/bin:$PATH"
python -c 'import sys; print("-----> Python", sys.version_info[0], "by", sys.argv[1])' "$(command -v python)"
mkdir -p .profile.d
cat > .profile.d/python.sh <<'EOT'
export PATH="$HOME/.heroku/python/bin:$PATH"
export PYTHONUNBUFFERED=true
export LANG=${LANG:-en_US.UTF-8}
if [[ $HOME != "/app" ]]; then : ; fi
EOT
cat > .profile.d/WEB_CONCURRENCY.sh <<'EOT'
function detect_memory() { local -a limits=(512 1024); echo "${limits[0]}"; }
export WEB_CONCURRENCY=${WEB_CONCURRENCY:-$(( $(detect_memory) / 256 ))}
EOT
echo "export PATH=\\"$BUILD_DIR/.heroku/python/bin:\\$PATH\\"" > "$BP_DIR/export"
echo "export GREETING='two
lines'" >> "$BP_DIR/export"
""",
    "bin/release": """#!/usr/bin/env bash
cat <<EOF
---
addons: []
config_vars:
  LANG: C.UTF-8
  BOTH: python
default_process_types:
  web: python -m http.server \\$PORT
EOF
""",
}

NODE: Mapping[str, str] = {
    "bin/detect": '#!/usr/bin/env bash\n[ -f "$1/package.json" ] && echo "Node.js" && exit 0\n'
    '>&2 echo "no package.json"\nexit 1\n',
    "bin/compile": COMMON
    + """
archive node node
export PATH="$BUILD_DIR/.heroku/node/bin:$PATH"
echo "-----> python is ${GREETING:-not told} at $(command -v python || echo nowhere)"
for e in "$ENV_DIR"/*; do
  [ -e "$e" ] || continue
  echo "$(basename "$e")" | grep -qvE '^(PATH|GIT_DIR|LD_PRELOAD)$' && export "$(basename "$e")=$(cat "$e")"
done
echo "       config: ${COLOR:-none} version: ${SOURCE_VERSION:-none}"
mkdir -p .profile.d
echo 'export PATH="$HOME/.heroku/node/bin:$PATH:bin:node_modules/.bin"; export NODE_HOME="$HOME/.heroku/node"' \\
  > .profile.d/nodejs.sh
[ -w "$BP_DIR" ] && echo "export NODE_HOME=$BUILD_DIR/.heroku/node" > "$BP_DIR/export"
""",
    "bin/release": '#!/usr/bin/env bash\necho "---"\necho "config_vars:"\necho "  BOTH: node"\n'
    'echo "default_process_types:"\necho "  web: node server.js"\n',
}
