"""The code that the book teaches, one module per idea.

No module imports another, so that a chapter can embed any one of them alone.
"""

import os

# TensorFlow leaves oneDNN off on x86 processors without AVX-512 VNNI or the
# like, where training this network without it took three times as long. It
# reads this once, when it is first imported.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
