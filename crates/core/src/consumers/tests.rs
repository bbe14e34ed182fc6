//! Tests of one consumer by itself.
