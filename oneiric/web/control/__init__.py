"""How a running orchestrator is asked: verbs as data, a server for them, and a client."""
