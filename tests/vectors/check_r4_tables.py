#!/usr/bin/env python3
"""Checks that the R4 tables are what tools/r4-tables makes of the published definitions.

Fetches the definitions from npm's registry; without it the recorded digests are compared.
"""
import subprocess
import sys
from pathlib import Path

generate = Path(__file__).resolve().parents[2] / "tools" / "r4-tables" / "generate.py"
sys.exit(subprocess.run([sys.executable, generate, "--check"], check=False).returncode)
