#!/bin/bash
# sbatch docs/multi_machine/slurm.sh configs/kinetics400/slowfast_8x8_r50.json
#SBATCH --job-name=slowfast
#SBATCH --nodes=16
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-task=8
#SBATCH --cpus-per-task=96
#SBATCH --requeue
#SBATCH --output=%x_%j.log
source .venv/bin/activate
# A worker that goes away takes its task down; the others start themselves anew and wait for the requeued step.
for attempt in 1 2 3; do
    srun --kill-on-bad-exit=0 python -m slowfast_tf.train --config "$1" --workdir "runs/${SLURM_JOB_NAME}" && break
done
