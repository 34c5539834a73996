//! Layers with forward and backward by hand, the paper's networks, and the cross-entropy loss.
