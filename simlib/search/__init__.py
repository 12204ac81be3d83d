"""Every schedule of a small scope: proofs, counterexamples, and ways to show them."""
