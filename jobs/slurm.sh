#!/bin/bash
# Runs one job on the nodes of a Slurm allocation, which become a Ray cluster for as long as it lasts.
#   sbatch jobs/slurm.sh jobs/demo.toml /shared/runs/demo     # from the repository, after `make demo` or `make test`
# The repository, its .venv and the store must be on a file system that every node sees. More nodes, GPUs or time are
# given to sbatch: `sbatch --nodes=4 --gpus-per-node=1 jobs/slurm.sh ...`.
#SBATCH --job-name=austicker
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --time=12:00:00
#SBATCH --output=austicker-%j.log
#SBATCH --open-mode=append
# Ray refuses a node that runs another Ray, and `ray stop` ends every Ray of a node.
#SBATCH --exclusive
# Slurm requeues the job when it is pre-empted. It does not at the time limit: for that the script asks for a signal.
# Not TERM, which `scancel` sends too: a cancelled job must stay cancelled.
#SBATCH --requeue
#SBATCH --signal=B:USR1@120
set -euo pipefail

export JOB=${1:?'usage: sbatch jobs/slurm.sh JOB.toml STORE'}
export STORE=${2:?'usage: sbatch jobs/slurm.sh JOB.toml STORE'}
MOST_RESTARTS=20 # a job that never gets further must not come back for ever

export PATH="$PWD/.venv/bin:$PATH"
export RAY_AUTH_MODE=token
export RAY_AUTH_TOKEN_PATH="${RAY_AUTH_TOKEN_PATH:-$HOME/.ray/auth_token}"
export RAY_USAGE_STATS_ENABLED=0
export RAY_SYMMETRIC_RUN_CLUSTER_WAIT_TIMEOUT=300 # a shared file system imports slowly the first time
# On every node's own disk, short because socket names are, and apart from other jobs' so that it can be removed.
export RAY_TMPDIR="/tmp/austicker-$SLURM_JOB_ID"

# `ray start` without a token starts without authentication, hence before any node. `ln` never replaces another's.
if [ ! -s "$RAY_AUTH_TOKEN_PATH" ]; then
  (
    umask 077
    mkdir -p "$(dirname "$RAY_AUTH_TOKEN_PATH")"
    python -c 'import secrets; print(secrets.token_hex(32), end="")' >"$RAY_AUTH_TOKEN_PATH.$SLURM_JOB_ID"
  )
  ln "$RAY_AUTH_TOKEN_PATH.$SLURM_JOB_ID" "$RAY_AUTH_TOKEN_PATH" || true
  rm -f "$RAY_AUTH_TOKEN_PATH.$SLURM_JOB_ID"
fi

# The batch script runs on the allocation's first node. Its address, not its name: on itself a name may mean loopback.
HEAD_IP=${HEAD_IP:-$(hostname -I | cut -d ' ' -f 1)}
export RAY_ADDRESS="$HEAD_IP:6379"

# Each node clears up after itself: a job that is being cancelled or pre-empted can start nothing more on its nodes.
# shellcheck disable=SC2329 # called by srun
on_this_node() {
  trap 'trap "" TERM; ray stop --force >/dev/null 2>&1; rm -rf -- "$RAY_TMPDIR"' EXIT
  trap 'kill "$!"; exit 143' TERM
  rm -rf -- "$RAY_TMPDIR" # of an earlier start that the node did not survive
  mkdir -m 700 -- "$RAY_TMPDIR" || return
  # In the background, because bash runs a trap only between commands.
  # shellcheck disable=SC2016 # expands on the head
  ray symmetric-run --address "$RAY_ADDRESS" --min-nodes "$SLURM_JOB_NUM_NODES" \
    --num-cpus="${SLURM_CPUS_PER_TASK:-1}" --num-gpus="${SLURM_GPUS_ON_NODE:-0}" --metrics-export-port=8080 -- \
    bash -c '"$@" && touch "$RAY_TMPDIR/finished"' finish austicker-grid run "$JOB" --store "$STORE" &
  wait "$!" || return
  # symmetric-run exits with 0 when Ray itself could not start: only this file says that the job was run.
  [ "$SLURM_PROCID" != 0 ] || [ -e "$RAY_TMPDIR/finished" ]
}

# shellcheck disable=SC2329 # called by a trap
come_back() {
  trap '' USR1
  scancel --signal=TERM "$SLURM_JOB_ID.0" # ending srun itself would kill the nodes' processes before they clear up
  wait "$nodes" || true
  if [ "${SLURM_RESTART_COUNT:-0}" -lt "$MOST_RESTARTS" ]; then
    echo "Time limit: requeued; what is finished is not done again."
    scontrol requeue "$SLURM_JOB_ID"
  fi
  exit 1
}

srun --nodes="$SLURM_JOB_NUM_NODES" --ntasks-per-node=1 --cpus-per-task="${SLURM_CPUS_PER_TASK:-1}" \
  --kill-on-bad-exit=1 bash -c "$(declare -f on_this_node); on_this_node" &
nodes=$!
trap come_back USR1
trap 'wait "$nodes"; exit 143' TERM
wait "$nodes"
