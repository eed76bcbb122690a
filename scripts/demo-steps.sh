# shellcheck shell=bash disable=SC2154
# The steps of scripts/demo. Sourced by it, never run; its variables are those set there.

# The gateway's names of the drop reasons that the demo provokes.
# shellcheck disable=SC2034
REASON_SPOOFED=unknown-source-mac REASON_WRONG_SIDE=storage-on-network

LAN_MAC=02:49:4f:47:01:64 LAN_IP=10.10.0.100 SAN_IP=10.20.0.100
TARGET=iqn.2025-01.net.iogate:demo
failed=()

section() { say ""; say "== $*"; }

# Runs the rest of its arguments, tells how it went, and remembers a failure by its name. Output is shown indented.
check() {
  local name=$1 t0=$SECONDS
  shift
  if "$@" >"$work/out" 2>&1 9>&-; then # 9 is the lock: nothing that outlives this run may hold it
    say "  ok    $name$(tail -n 1 "$work/out" | sed 's/^/: /')"
  else
    failed+=("$name")
    say "  FAIL  $name (after $((SECONDS - t0)) s)"
    tail -n 15 "$work/out" | sed 's/^/          /' >&2
  fi
}

in_ns() { local ns=$1; shift; ip netns exec "$prefix-$ns" "$@"; }

# Starts a program in namespace $1 in the background, its output in $work/$2.log; its pid is in $started_pid. The pid and
# the time it started are kept for a later clean-up, which must not end a stranger that got the same pid.
launch() {
  local ns=$1 log=$work/$2.log
  shift 2
  setsid ip netns exec "$prefix-$ns" "$@" >"$log" 2>&1 </dev/null 9>&- &
  started_pid=$!
  echo "$started_pid $(start_time "$started_pid")" >>"$state/pids"
}

start_time() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20; }
ours() { [ -n "$2" ] && [ "$(start_time "$1")" = "$2" ]; }

# Ends what launch started: asks, then insists. tgtd does not heed SIGTERM while it has targets.
stop_all() {
  local pid since tries
  [ -e "$state/pids" ] || return 0
  while read -r pid since; do
    if ours "$pid" "$since"; then kill -TERM "$pid" 2>/dev/null || true; fi
  done < <(tac "$state/pids")
  while read -r pid since; do
    for tries in {1..30}; do
      ours "$pid" "$since" || break
      sleep 0.1
    done
    if ours "$pid" "$since"; then kill -KILL "$pid" 2>/dev/null || true; sleep 0.1; fi
  done <"$state/pids"
  rm -f "$state/pids"
}

# Ends what process $1 still has below it: clients of a check that was interrupted.
end_children() {
  local pid
  for pid in $(pgrep -P "$1"); do
    grep -q "^$pid " "$state/pids" 2>/dev/null && continue
    end_children "$pid"
    kill -TERM "$pid" 2>/dev/null || true
  done
}

take_down() {
  stop_all
  "$ROOT_DIR/scripts/topology" down "$prefix"
  # Only a directory that mktemp made for a demo is ever removed.
  if [ -s "$state/work" ] && [[ $(<"$state/work") == */iogate-demo.?????? ]]; then rm -rf "$(<"$state/work")"; fi
  rm -f "$state/work"
}

# The one way out: says what failed, leaves things up when asked and well, and cleans up otherwise.
finish() {
  local status=$1 name
  trap '' INT TERM HUP
  trap - EXIT
  for name in "${failed[@]}"; do say "failed: $name"; status=1; done
  if [ "$status" = 0 ]; then say "demo: every check passed"; fi
  if [ -n "$keep" ] && [ "$status" -lt 2 ] && [ -s "$state/pids" ]; then
    hints
  else
    [ "$status" = 0 ] || show_log
    end_children $$
    take_down
  fi
  exit "$status"
}

show_log() {
  [ -s "$work/gateway.log" ] || return 0
  say "the gateway's last words:"
  tail -n 20 "$work/gateway.log" | sed 's/^/          /' >&2
}

hints() {
  cat >&2 <<END

It is left up. To try:
  ip netns exec $prefix-srv1 iperf3 -c $LAN_IP -p 5201
  ip netns exec $prefix-srv1 qemu-io -f raw -c 'read 0 1M' iscsi://$SAN_IP/$TARGET/1
  $gateway show drops --socket $work/gw.sock
To take it down: scripts/demo --down
END
}

build() {
  gateway=${IOGATE_BIN-}
  [ -z "$gateway" ] || return 0
  use_toolchain
  say "building the gateway"
  (cd "$ROOT_DIR" && cargo build --release -p iogate-gateway)
  gateway=${CARGO_TARGET_DIR:-$ROOT_DIR/target}/release/iogate
}

gateway_config() {
  local n
  cat <<END
schema = 1

[gateway]
name = "demo"
socket = "$work/gw.sock"

[[uplink]]
name = "net-a"
port = "$driver:gw-lan"
kind = "network"

[[uplink]]
name = "san-a"
port = "$driver:gw-san"
kind = "storage"
fabric = "A"

[[uplink_group]]
name = "lan"
kind = "network"
members = ["net-a"]

[[uplink_group]]
name = "san"
kind = "storage"
members = ["san-a"]

[[network]]
name = "prod"
vlan = 0
uplink = "lan"

[[network]]
name = "iscsi-a"
vlan = 0
uplink = "san"
fabric = "A"
END
  for n in 1 2; do
    cat <<END

[[link]]
name = "eth-srv$n"
server = "srv$n"
port = "$driver:gw-srv$n"

[[vnic]]
name = "srv$n.pub"
link = "eth-srv$n"
network = "prod"
mac = "02:49:4f:47:00:${n}0"
ips = ["10.10.0.$n"]

[[vhba]]
name = "srv$n.a"
link = "eth-srv$n"
network = "iscsi-a"
protocol = "iscsi"
mac = "02:49:4f:47:00:${n}1"
END
  done
}

show() { "$gateway" show "$1" -o json --socket "$work/gw.sock"; }

# Waits until the gateway says it is ready; fails when it ends first or takes more than 20 s.
gateway_ready() {
  local tries
  for tries in {1..200}; do
    kill -0 "$started_pid" 2>/dev/null || return 1
    if grep -qw ready "$work/gateway.log"; then return 0; fi
    sleep 0.1
  done
  kill -KILL "$started_pid" 2>/dev/null || true
  return 1
}

start_gateway() {
  say "  starting the gateway on $driver"
  gateway_config >"$work/gateway.toml"
  launch gw gateway "$gateway" run "$work/gateway.toml"
  gateway_pid=$started_pid
  if gateway_ready; then return; fi
  if [ "$driver" = af_xdp ]; then
    say "  AF_XDP does not start here; falling back to AF_PACKET. Its last words:"
    tail -n 5 "$work/gateway.log" | sed 's/^/          /' >&2
    driver=af_packet
    start_gateway
    return
  fi
  failed+=("the gateway starts")
  exit 1
}

target_admin() { TGT_IPC_SOCKET=$work/tgtd tgtadm -C 5 --lld iscsi "$@"; }

# SIGTERM, and the gateway drains, closes and ends with 0; the last line of its summary is shown.
stop_gateway() {
  kill -TERM "$gateway_pid"
  local status=0
  wait "$gateway_pid" || status=$?
  tail -n 1 "$work/gateway.log"
  return "$status"
}

# One target with a LUN for each server, and an iperf3 for each of them.
start_peers() {
  local n tries
  say "  starting the iSCSI target and iperf3"
  # tgtd would have its socket where the system's own has it; this one keeps to the demo's directory.
  launch san tgtd env "TGT_IPC_SOCKET=$work/tgtd" tgtd -f -C 5 --iscsi "portal=$SAN_IP:3260"
  disown "$started_pid" # it will have to be killed; bash need not say so
  for tries in {1..50}; do target_admin --op show --mode target >/dev/null 2>&1 && break; sleep 0.1; done
  target_admin --op new --mode target --tid 1 --targetname "$TARGET"
  for n in 1 2; do
    truncate -s "${mib}M" "$work/lun$n.img"
    target_admin --op new --mode logicalunit --tid 1 --lun "$n" --backing-store "$work/lun$n.img"
    launch lan "iperf3-$n" iperf3 -s -p "520$n"
  done
  target_admin --op bind --mode target --tid 1 --initiator-address ALL
}

ping_lan() { in_ns "srv$1" ping -n -q -c 5 -i 0.2 -W 1 "$LAN_IP" | grep -F ' 0% packet loss' | sed 's/, time.*//'; }

# $3 names the measurement for the table.
tcp() {
  timeout $(($2 + 15)) ip netns exec "$prefix-srv$1" iperf3 -J -c "$LAN_IP" -p "520$1" -t "$2" --connect-timeout 3000 >"$work/tcp.$1.$3"
  jq -er '.end.sum_received | select(.bytes > 0) | "\(.bits_per_second / 1e6 | round) Mbit/s"' "$work/tcp.$1.$3"
}

list_target() { in_ns "srv$1" timeout 15 iscsi-ls -s "iscsi://$SAN_IP" | tee /dev/stderr | grep -F "Target:$TARGET"; }

# Server $1 fills its LUN with fresh random bytes and reads them back, $2 times over.
disk() {
  local url=iscsi://$SAN_IP/$TARGET/$1 src=$work/src$1.raw back=$work/back$1.raw i sum t0 t1
  t0=$(date +%s%N)
  for ((i = 0; i < $2; i++)); do
    head -c "${mib}M" /dev/urandom >"$src"
    sum=$(sha256sum <"$src")
    in_ns "srv$1" timeout 60 qemu-img convert -n -f raw -O raw "$src" "$url"
    in_ns "srv$1" timeout 60 qemu-img convert -f raw -O raw "$url" "$back"
    [ "$(sha256sum <"$back")" = "$sum" ] || { echo "what came back differs"; return 1; }
    [ "$(sha256sum <"$work/lun$1.img")" = "$sum" ] || { echo "what lies on the target differs"; return 1; }
    rm "$back"
  done
  t1=$(date +%s%N)
  echo "$(($2 * mib)) ${sum:0:12}" >"$work/disk.$1.$3"
  echo "sha256 ${sum:0:12}…, $((2 * $2 * mib * 1000000000 / (t1 - t0))) MiB/s with the checking"
}

both_at_once() {
  local n pid pids=() bad=0
  for n in 1 2; do
    tcp "$n" $((seconds * 2)) together & pids+=($!)
    disk "$n" 2 together & pids+=($!)
  done
  for pid in "${pids[@]}"; do wait "$pid" || bad=1; done
  jq -rs '"\(map(.end.sum_received.bits_per_second) | add / 1e6 | round) Mbit/s of TCP beside '"$((8 * mib))"' MiB of iSCSI, checksums equal"' \
    "$work"/tcp.[12].together
  return $bad
}

# How many frames were dropped for a reason so far.
drops() { show drops | jq --arg reason "$1" '[.drops[] | select(.reason == $reason) | .packets] | add // 0'; }

# Sends ten frames from srv1's link (KIND SRC_MAC [IPs]) and wants all of them counted under the reason, none on the LAN.
refused() {
  local reason=$1 kind=$2 mac=$3 before after seen0 seen1
  shift 3
  before=$(drops "$reason")
  seen0=$(in_ns lan cat /sys/class/net/eth0/statistics/rx_packets)
  in_ns srv1 "$ROOT_DIR/scripts/send-frame" link0 "$kind" "$mac" "$LAN_MAC" "$@" --count 10
  sleep 1
  after=$(drops "$reason")
  seen1=$(in_ns lan cat /sys/class/net/eth0/statistics/rx_packets)
  if [ $((after - before)) -lt 10 ]; then
    show drops
    echo "10 frames sent, $((after - before)) counted as $reason"
    return 1
  fi
  [ $((seen1 - seen0)) -lt 10 ] || { echo "$((seen1 - seen0)) frames reached the LAN host"; return 1; }
  echo "10 sent, $((after - before)) dropped"
}

# The gateway's count for each adapter beside what the programs at both ends measured. Fails when one carried nothing.
summary() {
  local n bad=0
  say "  ADAPTER    KIND   FROM SERVER    TO SERVER  DROPPED  MEASURED AT THE ENDS"
  for n in 1 2; do
    adapter "srv$n.pub" "iperf3 $(rate "$n" alone) Mbit/s alone, $(rate "$n" together) beside iSCSI" || bad=1
    adapter "srv$n.a" "iSCSI $(volume "$n") MiB each way, sha256 equal" || bad=1
  done
  say ""
  show drops | jq -r '.drops[] | select(.packets > 0) | "  dropped \(.packets) \(.direction) on \(.port): \(.reason)"' >&2 || bad=1
  return "$bad"
}

# Prints the line of adapter $1; $2 is what was measured for it.
adapter() {
  show vnics | jq -er --arg name "$1" '
    .vnics[] | select(.name == $name and .from_server.bytes > 0 and .to_server.bytes > 0)
    | "\(.name) \(.kind) \(.from_server.bytes / 1048576 | round) \(.to_server.bytes / 1048576 | round) \(.dropped.packets)"' |
    while read -r name kind from to drops; do
      printf '  %-10s %-5s %7s MiB %8s MiB  %7s  %s\n' "$name" "$kind" "$from" "$to" "$drops" "$2" >&2
    done
}
rate() { jq -r '.end.sum_received.bits_per_second / 1e6 | round' "$work/tcp.$1.$2" 2>/dev/null || echo '?'; }
volume() { cat "$work"/disk."$1".* 2>/dev/null | awk '{n += $1} END {print n + 0}'; }
