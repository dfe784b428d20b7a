//! Names and labels that people give.

use crate::{limits::control as limits, mistake::Mistake};

/// A name without spaces around it; a mistake where it is none.
pub fn name(path: &str, text: &str, mistakes: &mut Vec<Mistake>) -> String {
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

/// Labels without spaces around them, each once.
pub fn labels(list: &[String], mistakes: &mut Vec<Mistake>) -> Vec<String> {
    let (most, characters) = limits::LABELS;
    if list.len() > most {
        mistakes.push(Mistake::new("labels", format!("has {} entries", list.len()), format!("write at most {most}")));
        return Vec::new();
    }
    let mut labels: Vec<String> = Vec::with_capacity(list.len());
    for (i, label) in list.iter().enumerate() {
        let label = label.trim();
        let length = label.chars().count();
        if length == 0 || length > characters || label.chars().any(char::is_control) {
            let cure = format!("write 1 to {characters} visible characters");
            mistakes.push(Mistake::new(format!("labels.{i}"), "is no label", cure));
        } else if !labels.iter().any(|l| l == label) {
            labels.push(label.to_owned());
        }
    }
    labels
}
