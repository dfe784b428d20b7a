//! The fleet with a family that exists here only.

mod asking;
mod knowing;
mod lying;
mod toy;
