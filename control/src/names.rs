//! Names that people give.

use schemas::limits::control as limits;

use crate::error::Mistake;

/// A name without spaces around it; a mistake where it is none.
pub(crate) fn name(path: &str, text: &str, mistakes: &mut Vec<Mistake>) -> String {
    let text = text.trim();
    let characters = text.chars().count();
    if characters == 0 || characters > limits::NAME_CHARACTERS || text.chars().any(char::is_control) {
        let cure = format!("write 1 to {} visible characters", limits::NAME_CHARACTERS);
        let problem = match characters {
            0 => "is empty".to_owned(),
            n if n > limits::NAME_CHARACTERS => format!("has {n} characters"),
            _ => "has control characters".to_owned(),
        };
        mistakes.push(Mistake::new(path, problem, cure));
    }
    text.to_owned()
}
