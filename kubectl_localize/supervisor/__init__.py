"""The long-lived process: owns the listening sockets, starts kubectl behind them, keeps both true to the cluster."""
