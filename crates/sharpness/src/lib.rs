//! How flat a minimum is, for any function of a vector: estimates with error bars.
