//! Definitions, expressions, figures and matching, by what stands outside; the fuzz tests name their seed.

mod blocks;
mod channels;
mod expressions;
mod figures;
mod hours;
mod matching;
mod monitors;
mod numbers;
mod reference;
mod rules;
mod spans;
mod trailing;
mod trial;
