#!/bin/bash
# sbatch docs/multi_machine/slurm.sh --config kinetics400/slowfast_8x8_r50 --set train.batch_size=1024
#SBATCH --job-name=slowfast
#SBATCH --nodes=16
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-task=8
#SBATCH --cpus-per-task=96
#SBATCH --requeue
#SBATCH --output=%x_%j.log
source .venv/bin/activate
export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK  # since Slurm 22.05, srun does not inherit --cpus-per-task
# srun does not restart a lost worker: it ends all workers, and the next attempt resumes after the last epoch.
for attempt in 1 2 3; do
    srun --kill-on-bad-exit=1 python -m slowfast_tf.train "$@" --workdir "runs/$SLURM_JOB_NAME" && break
done
