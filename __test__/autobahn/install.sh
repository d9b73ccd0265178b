#!/usr/bin/env bash
# Installs the Autobahn testsuite into the folder that is named, and writes the path of its Python into
# FOLDER/python. It runs on Python 2.7 alone: on the one that AUTOBAHN_PYTHON names, on one that is
# installed (pyenv, PATH), or on Debian's, which is unpacked into the folder and not installed.
# Downloads go through this machine's own sources of apt and index of pip. Ends with 1 and a sentence that
# says what is wanting if it cannot be done.
set -euo pipefail

folder=$1
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
[ -e "$folder/python" ] && exit 0

log=$folder/install.log
: >"$log"
wanting() {
  echo "The Autobahn testsuite cannot be installed: $*" >&2
  [ -s "$log" ] && tail -n 15 "$log" >&2
  exit 1
}

# Wide characters, because that is what the binary packages for Python 2.7 were built for; the headers,
# because two packages are compiled.
is_fit() {
  [ -x "$1" ] && "$1" -c '
import ctypes, os, ssl, sys, sysconfig, zlib
has_headers = os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h"))
sys.exit(not (sys.version_info[:2] == (2, 7) and sys.maxunicode > 0xffff and has_headers))' 2>/dev/null
}

find_python() {
  local candidate
  for candidate in "${AUTOBAHN_PYTHON:-}" "$HOME"/.pyenv/versions/*2.7*/bin/python2.7 \
    "$(command -v python2.7 || true)" "$folder/debian/python2.7"; do
    if [ -n "$candidate" ] && is_fit "$candidate"; then
      echo "$candidate"
      return
    fi
  done
  return 1
}

# The last release of Debian with Python 2.7, from the mirror that this machine uses, with a state of apt's
# own: nothing of the system changes, and no root is needed.
unpack_debian_python() {
  local state=$folder/debian/apt root=$folder/debian/root mirror library
  local keyring=/usr/share/keyrings/debian-archive-keyring.gpg
  command -v apt-get >/dev/null && [ -e "$keyring" ] || return 1
  mirror=$(sed -nE 's/^URIs: *([^ ]+).*/\1/p; s/^deb (\[[^]]*\] )?([^ ]+) .*/\2/p' \
    /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | grep -m1 -E '/debian/?$' || true)
  [ -n "$mirror" ] || return 1
  mkdir -p "$state"/lists/partial "$state"/cache/archives/partial "$root"
  echo "deb [signed-by=$keyring] $mirror bullseye main" >"$state/sources.list"
  local apt=(apt-get -qq -o Dir::Etc::sourcelist="$state/sources.list" -o Dir::Etc::sourceparts=/dev/null
    -o Dir::State::lists="$state/lists" -o Dir::Cache="$state/cache" -o APT::Sandbox::User="$(id -un)")
  "${apt[@]}" update || return 1
  (
    cd "$folder/debian"
    "${apt[@]}" download libffi7 libpython2.7 libpython2.7-dev libpython2.7-minimal libpython2.7-stdlib \
      libssl1.1 python2.7 python2.7-dev python2.7-minimal || exit 1
    for package in *.deb; do dpkg -x "$package" root; done
    rm -- *.deb
  ) || return 1
  library=$(dirname "$(find "$root/usr/lib" -name 'libssl.so.1.1' | head -n 1)")
  printf '#!/bin/sh\nexport LD_LIBRARY_PATH="%s" PYTHONHOME="%s"\nexec "%s" "$@"\n' \
    "$library" "$root/usr" "$root/usr/bin/python2.7" >"$folder/debian/python2.7"
  chmod +x "$folder/debian/python2.7"
}

unset PYTHONPATH PYTHONHOME PIP_FIND_LINKS
export PIP_DISABLE_PIP_VERSION_CHECK=1

python3 -m pip --version >>"$log" 2>&1 || wanting 'python3 with pip is missing (Debian: apt-get install python3-pip)'
command -v cc >/dev/null || wanting 'a C compiler is missing (Debian: apt-get install gcc)'
if ! python=$(find_python); then
  echo 'No Python 2.7 with headers here: unpacking that of Debian'
  unpack_debian_python >>"$log" 2>&1 ||
    wanting 'Python 2.7 is missing and could not be had from Debian; let AUTOBAHN_PYTHON name one that has its headers'
  python=$(find_python) || wanting 'the Python 2.7 of Debian does not run on this machine'
fi

# The last of each that there is for Python 2.7.
echo "Installing the Autobahn testsuite with $python"
rm -rf "$folder/pip" "$folder/packages"
python3 -m pip download -q --no-deps -d "$folder" pip==20.3.4 >>"$log" 2>&1 || wanting 'pip 20.3.4 cannot be downloaded'
python3 -m zipfile -e "$folder/pip-20.3.4-py2.py3-none-any.whl" "$folder/pip"
printf '%s\n' wsaccel==0.6.2 ujson==2.0.3 cffi==1.15.1 >"$folder/constraints.txt"
headers=$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')
for package in setuptools==44.0.0 autobahntestsuite==25.10.1; do
  # The folder above has the headers that Debian keeps for each architecture.
  CPATH=$headers:$(dirname "$headers") PYTHONPATH=$folder/pip:$folder/packages \
    "$python" -m pip install --target "$folder/packages" -c "$folder/constraints.txt" "$package" >>"$log" 2>&1 ||
    wanting "$package cannot be installed"
done
[ -e "$folder/packages/autobahntestsuite/fuzzing.py" ] || wanting 'its files are not where they should be'
# Without it, checking UTF-8 and masking take minutes.
[ -e "$folder/packages/wsaccel" ] || wanting 'wsaccel was not compiled'
echo "$python" >"$folder/python"
