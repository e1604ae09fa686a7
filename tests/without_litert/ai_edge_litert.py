"""In the place of ai-edge-litert, which Colab does not have."""

raise ImportError("ai_edge_litert is blocked: see .ci/run")
