"""The programs that call a runtime, each in a place of its own: podman, containerd, docker."""
