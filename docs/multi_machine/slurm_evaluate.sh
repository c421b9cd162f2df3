#!/bin/bash
# sbatch docs/multi_machine/slurm_evaluate.sh --config kinetics400/slowfast_8x8_r50 --checkpoint runs/slowfast
#SBATCH --job-name=slowfast_test
#SBATCH --ntasks=16
#SBATCH --gpus-per-task=1
#SBATCH --cpus-per-task=12
#SBATCH --requeue
#SBATCH --output=%x_%j.log
source .venv/bin/activate
export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK  # since Slurm 22.05, srun does not inherit --cpus-per-task
export FOLDER=runs/${SLURM_JOB_NAME}_$SLURM_JOB_ID
# Each task tests a shard of the videos. The next attempt resumes the shards of failed tasks.
for attempt in 1 2 3; do
    srun --kill-on-bad-exit=0 --wait=0 bash -c '
        part=$FOLDER/part$SLURM_PROCID.npz
        [ -e "$part" ] || exec python -m slowfast_tf.evaluate --part "$SLURM_PROCID/$SLURM_NTASKS" --scores "$part" "$@"
    ' bash "$@" && break
done
python -m slowfast_tf.evaluate --fuse $(seq -f "$FOLDER/part%.0f.npz" 0 $((SLURM_NTASKS - 1))) --overwrite \
    --output "$FOLDER/metrics.json" --report "$FOLDER/report.html"
