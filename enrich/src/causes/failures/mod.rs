//! Why a transaction failed, with evidence, late (rule 14).

pub mod evidence;
