"""The painter of synthetic faces."""
