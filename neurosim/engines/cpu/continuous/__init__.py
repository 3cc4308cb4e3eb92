"""The CPU engine in continuous time: a loop over events, without a grid."""
