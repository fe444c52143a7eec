"""Every method over real gRPC and a real disk."""
