//! The fleet with a family that exists here only.

mod asking;
mod changing;
mod knowing;
mod lying;
mod toy;
