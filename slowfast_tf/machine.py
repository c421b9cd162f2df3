"""Properties of the machine: the number of CPU cores, and the name of the CPU."""

import os
import pathlib
import platform
import re


def core_count() -> int:
    """Return the number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cpu_name() -> str:
    """Return the model name of the CPU, with the vector instructions that affect the benchmarks."""
    try:
        text = pathlib.Path("/proc/cpuinfo").read_text()
    except OSError:
        text = ""
    found = re.search(r"model name\s*: (.*)", text)
    if not found:
        return platform.processor() or platform.machine()
    flags = {"avx2": "AVX2", "avx512f": "AVX-512", "avx512_vnni": "VNNI", "avx512_bf16": "bfloat16"}
    return f"{found[1].strip()} ({', '.join(flags[flag] for flag in flags if flag in text.split()) or 'no AVX2'})"
