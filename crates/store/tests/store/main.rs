//! Tests of the store from outside.

mod conformance;
mod damage;
mod disk;
mod faulty;
mod kill;
mod opening;
mod support;
