//! SGD, Adam, SmoothOut and AdaSmoothOut on any slice of parameters.
