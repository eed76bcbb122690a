# shellcheck shell=bash
# What the scripts beside this file share. Sourced, never run.

# Administration tools live here, also when PATH comes from a plain user.
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
# shellcheck disable=SC2034
ROOT_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# The header comment of the calling script is its help.
usage() { sed -n '2,/^[^#]/{/^#/s/^# \{0,1\}//p}' "$0"; }

say() { printf '%s\n' "$*" >&2; }
warn() { printf '%s: warning: %s\n' "${0##*/}" "$*" >&2; }
die() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }

# Starts the calling script again through sudo when it is not root.
need_root() {
  [ "$(id -u)" = 0 ] && return
  command -v sudo >/dev/null || die "run me as root (there is no sudo here)"
  exec sudo --preserve-env=CARGO_HOME,RUSTUP_HOME,CARGO_TARGET_DIR,IOGATE_BIN,IOGATE_ROOTS "$0" "$@"
}

# Fails early, with the way out, when a program is missing.
need() {
  local tool
  for tool in "$@"; do
    command -v "$tool" >/dev/null || die "$tool is missing: run scripts/setup --tests first"
  done
}

# Makes cargo reachable, also under sudo, where it is the calling user's.
use_toolchain() {
  local home
  if ! command -v cargo >/dev/null && [ -n "${SUDO_USER-}" ]; then
    home=$(getent passwd "$SUDO_USER" | cut -d: -f6)
    export CARGO_HOME=${CARGO_HOME:-$home/.cargo} RUSTUP_HOME=${RUSTUP_HOME:-$home/.rustup}
    PATH=$CARGO_HOME/bin:$PATH
  fi
  command -v cargo >/dev/null || die "no cargo in PATH: install Rust with rustup (https://rustup.rs) first"
}

# The Debian release that this machine has, by its code name.
debian_release() {
  # shellcheck disable=SC1091
  (. /etc/os-release && echo "${VERSION_CODENAME-}")
}

# The archive's address as this machine's apt has it: of its release, or, with -security, of its security updates.
archive() {
  # shellcheck disable=SC2016
  apt-get indextargets --format '$(SITE) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
    awk -v suite="$(debian_release)$1" '$2 == suite && $3 == "main" {print $1; exit}'
}
