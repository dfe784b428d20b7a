//! Names and kinds: a tree to a test that every value of its scope can be put to.

use super::{
    Scope, WrongAt, bitcoin,
    eval::{Place, Seen, Term, Test},
    lexer::{Path, To},
    literal::{Literal, Written},
    parser::{Node, Search, Tree},
    transaction::FIELDS,
    value::{Kind, Value},
};
use crate::number::Relation;

/// A part that is a value.
enum Side {
    /// Its kind is known.
    Of(Term, Kind),
    /// It is written, and is of the kind of what it stands beside.
    Written(Literal),
}

/// Checks a tree.
pub(super) fn check(tree: &Node, scope: Scope<'_>) -> Result<Test, WrongAt> {
    Checker { scope }.test(tree)
}

struct Checker<'a> {
    scope: Scope<'a>,
}

impl Checker<'_> {
    fn test(&self, node: &Node) -> Result<Test, WrongAt> {
        let each = |parts: &[Node]| parts.iter().map(|part| self.test(part)).collect::<Result<Vec<_>, _>>();
        match &node.what {
            Tree::Any(parts) => each(parts).map(Test::Any),
            Tree::All(parts) => each(parts).map(Test::All),
            Tree::Not(inner) => self.test(inner).map(|inner| Test::Not(Box::new(inner))),
            Tree::Compare(relation, sides) => self.compare(*relation, sides),
            Tree::Search(how, sides) => self.search(*how, sides),
            Tree::In(is_turned, left, list) => self.is_in(*is_turned, left, list),
            Tree::Among(is_turned, sides) => self.among(*is_turned, sides),
            _ => match self.side(node, true)? {
                Side::Of(term @ Term::Variable(_), Kind::Flag) => Ok(Test::Is(term)),
                Side::Of(_, kind) => {
                    let cure = "compare it with something: `value > 1000`";
                    Err(WrongAt::new(node.at, format!("is {} and no condition", kind.words()), cure))
                }
                Side::Written(literal) => Err(WrongAt::new(
                    literal.at,
                    "is a value and no condition",
                    "compare a variable with it: `value > 1000`",
                )),
            },
        }
    }

    fn compare(&self, relation: Relation, sides: &[Node; 2]) -> Result<Test, WrongAt> {
        let [left, right] = sides;
        let (at, right_at) = (left.at, right.at);
        let (left, right, kind) = match (self.side(left, true)?, self.side(right, false)?) {
            (Side::Of(left, kind), Side::Of(right, other)) => {
                if !is_comparable(&kind, &other) {
                    let problem = format!("is {}, and what it is compared with is {}", other.words(), kind.words());
                    return Err(WrongAt::new(right_at, problem, "compare what is of one kind"));
                }
                (left, right, kind)
            }
            (Side::Of(left, kind), Side::Written(literal)) => (left, Term::Fixed(literal.of(&kind)?), kind),
            (Side::Written(literal), Side::Of(right, kind)) => (Term::Fixed(literal.of(&kind)?), right, kind),
            (Side::Written(left), Side::Written(_)) => return Err(self.no_variable(&left)),
        };
        let is_order = !matches!(relation, Relation::Equal | Relation::Unequal);
        if is_order && kind != Kind::Number {
            let problem = format!("is {}: `{}` is for numbers", kind.words(), relation.as_str());
            let cure = match kind {
                Kind::Flag => "write `==` or `!=`",
                Kind::List(_) | Kind::Tuple(_) => "write `==`, `!=` or `contains`, or name an element: `a[0]`",
                _ => "write `==`, `!=`, `contains`, `starts_with`, `ends_with` or `in`",
            };
            return Err(WrongAt::new(at, problem, cure));
        }
        Ok(Test::Compare(relation, left, right))
    }

    fn search(&self, how: Search, sides: &[Node; 2]) -> Result<Test, WrongAt> {
        let [left_node, right_node] = sides;
        let left = self.side(left_node, true)?;
        let right = self.side(right_node, false)?;
        let (term, kind) = match left {
            Side::Of(term, kind) => (term, kind),
            Side::Written(literal) => return Err(self.no_variable(&literal)),
        };
        match (&kind, right) {
            (Kind::Text | Kind::Bytes(_), Side::Written(literal)) => {
                Ok(Test::Search(how, term, Term::Fixed(literal.needle())))
            }
            (Kind::Text, Side::Of(right, Kind::Text)) => Ok(Test::Search(how, term, right)),
            (Kind::List(_) | Kind::Tuple(_), Side::Written(literal)) if how == Search::Contains => {
                let mut forms: Vec<Value> = Vec::new();
                for kind in elementary(&kind) {
                    if let Some(form) = literal.read(kind)
                        && !forms.contains(&form)
                    {
                        forms.push(form);
                    }
                }
                if forms.is_empty() {
                    let kinds = elementary(&kind);
                    let element = kinds.first().copied().cloned().unwrap_or(kind);
                    return literal.of(&element).map(|_| Test::Holds(term, Vec::new()));
                }
                Ok(Test::Holds(term, forms))
            }
            (Kind::List(inner), Side::Of(right, other)) if how == Search::Contains && is_comparable(inner, &other) => {
                Ok(Test::Among(false, right, term))
            }
            (Kind::List(_) | Kind::Tuple(_), Side::Written(_)) => {
                let cure = "write `contains`, or name an element: `a[0] starts_with 'x'`";
                Err(WrongAt::new(left_node.at, format!("is {}", kind.words()), cure))
            }
            (_, Side::Of(_, other)) => {
                let problem = format!("is {}, which cannot be looked for in {}", other.words(), kind.words());
                Err(WrongAt::new(right_node.at, problem, "write the text itself in quotes: 'text'"))
            }
            _ => {
                let problem = format!(
                    "is {}: `contains`, `starts_with` and `ends_with` are for texts, bytes and lists",
                    kind.words()
                );
                Err(WrongAt::new(left_node.at, problem, "write `==`, `!=`, `>`, `>=`, `<` or `<=`"))
            }
        }
    }

    fn is_in(&self, is_turned: bool, left: &Node, list: &[Node]) -> Result<Test, WrongAt> {
        let (term, kind) = match self.side(left, true)? {
            Side::Of(term, kind) => (term, kind),
            Side::Written(literal) => return Err(self.no_variable(&literal)),
        };
        if list.is_empty() {
            return Err(WrongAt::new(
                left.at,
                "is looked for in an empty list",
                "write at least one value: `a in [1, 2]`",
            ));
        }
        let mut values = Vec::new();
        for node in list {
            match self.side(node, false)? {
                Side::Written(literal) => values.push(literal.of(&kind)?),
                Side::Of(..) => {
                    let cure = "write values only, or compare with the variable: `a == b OR a in [1, 2]`";
                    return Err(WrongAt::new(node.at, "is a variable in a list of values", cure));
                }
            }
        }
        Ok(Test::In(is_turned, term, values))
    }

    fn among(&self, is_turned: bool, sides: &[Node; 2]) -> Result<Test, WrongAt> {
        let [left, right] = sides;
        let Side::Of(list, Kind::List(inner)) = self.side(right, false)? else {
            let cure = "write a list, `a in [1, 2]`, or a variable that is one";
            return Err(WrongAt::new(right.at, "is no list", cure));
        };
        let term = match self.side(left, true)? {
            Side::Of(term, kind) if is_comparable(&kind, &inner) => term,
            Side::Of(_, kind) => {
                let problem = format!("is {}, and the list's elements are {}", kind.words(), inner.words());
                return Err(WrongAt::new(left.at, problem, "look for what is of the elements' kind"));
            }
            Side::Written(literal) => Term::Fixed(literal.of(&inner)?),
        };
        Ok(Test::Among(is_turned, term, list))
    }

    /// A value. `leads`: it stands before an operator, where plain digits may be a parameter's position.
    fn side(&self, node: &Node, leads: bool) -> Result<Side, WrongAt> {
        let written = |what| Ok(Side::Written(Literal { at: node.at, what }));
        match &node.what {
            Tree::Number(number, digits) => {
                if leads
                    && let Some(digits) = digits
                    && let Some((at, kind)) = self.root(digits)
                {
                    return Ok(Side::Of(Term::Variable(Place { root: at, steps: Box::new([]) }), kind));
                }
                written(Written::Number(*number))
            }
            Tree::Hex(text) => written(Written::Hex(text.clone())),
            Tree::Text(text) => written(Written::Text { text: text.clone(), bare: false }),
            Tree::Flag(flag) => written(Written::Flag(*flag)),
            Tree::Path(path) => match self.root(&path.name) {
                Some(found) => self.variable(found, path),
                // The other product takes a bare word there for a text.
                None if !leads && path.steps.is_empty() => {
                    written(Written::Text { text: path.name.clone(), bare: true })
                }
                None => Err(self.unknown(node.at, path)),
            },
            Tree::Negative(inner) => {
                let term = self.number(inner)?;
                Ok(Side::Of(Term::Negative(Box::new(term)), Kind::Number))
            }
            Tree::Reckon(how, parts) => {
                let [left, right] = &**parts;
                let parts = Box::new([self.number(left)?, self.number(right)?]);
                let fixed = |term: &Term| match term {
                    Term::Fixed(value) => value.seen().and_then(Seen::number),
                    _ => None,
                };
                let [left, right] = &*parts;
                let both = fixed(left).zip(fixed(right));
                let Some((left, right)) = both else { return Ok(Side::Of(Term::Reckon(*how, parts), Kind::Number)) };
                match how.of(left, right) {
                    Some(number) => written(Written::Number(number)),
                    None => Err(WrongAt::new(node.at, "is no number", "divide by no zero, and stay below 2^511")),
                }
            }
            _ => {
                let cure = "compare values, and join comparisons by `AND` and `OR`";
                Err(WrongAt::new(node.at, "is a condition where a value should stand", cure))
            }
        }
    }

    /// A number that is reckoned with.
    fn number(&self, node: &Node) -> Result<Term, WrongAt> {
        match self.side(node, false)? {
            Side::Of(term, Kind::Number) => Ok(term),
            Side::Of(_, kind) => {
                let problem = format!("is {}, which cannot be reckoned with", kind.words());
                Err(WrongAt::new(node.at, problem, "reckon with numbers"))
            }
            Side::Written(literal) => literal.of(&Kind::Number).map(Term::Fixed),
        }
    }

    /// What has this name.
    fn root(&self, name: &str) -> Option<(usize, Kind)> {
        match self.scope {
            Scope::Transaction => {
                let at = FIELDS.iter().position(|field| field.name == name)?;
                FIELDS.get(at).map(|field| (at, field.kind()))
            }
            Scope::Bitcoin => bitcoin::find(name),
            Scope::Parameters(each) => {
                let at = each.iter().position(|(known, _)| known == name)?;
                each.get(at).map(|(_, kind)| (at, kind.clone()))
            }
        }
    }

    fn variable(&self, (root, mut kind): (usize, Kind), path: &Path) -> Result<Side, WrongAt> {
        let mut steps = Vec::new();
        for step in &path.steps {
            let place = match &step.to {
                To::Element(at) => Some(*at),
                To::Name(name) if name.bytes().all(|b| b.is_ascii_digit()) => name.parse().ok(),
                To::Name(_) => None,
            };
            let inner = match (&kind, &step.to, place) {
                (Kind::List(inner), _, Some(at)) => Some((at, (**inner).clone())),
                (Kind::Tuple(members), To::Name(name), _) if members.iter().any(|(known, _)| known == name) => {
                    let at = members.iter().position(|(known, _)| known == name);
                    at.and_then(|at| members.get(at).map(|(_, kind)| (at, kind.clone())))
                }
                (Kind::Tuple(members), _, Some(at)) => members.get(at).map(|(_, kind)| (at, kind.clone())),
                _ => None,
            };
            let Some((at, inner)) = inner else {
                let cure = match &kind {
                    Kind::Tuple(members) => {
                        let names: Vec<&str> = members.iter().map(|(name, _)| name.as_str()).collect();
                        format!("it has: {}", names.join(", "))
                    }
                    Kind::List(_) => "write an element's position, from 0: `a[0]`".to_owned(),
                    _ => "leave it away".to_owned(),
                };
                return Err(WrongAt::new(step.at, format!("{} has no such part", kind.words()), cure));
            };
            steps.push(at);
            kind = inner;
        }
        Ok(Side::Of(Term::Variable(Place { root, steps: steps.into() }), kind))
    }

    fn names(&self) -> Vec<&str> {
        match self.scope {
            Scope::Transaction => FIELDS.iter().map(|field| field.name).collect(),
            Scope::Bitcoin => bitcoin::names(),
            Scope::Parameters(each) => each.iter().map(|(name, _)| name.as_str()).collect(),
        }
    }

    fn unknown(&self, at: usize, path: &Path) -> WrongAt {
        let names = self.names();
        let near = names.iter().map(|name| (strsim::damerau_levenshtein(name, &path.name), *name)).min();
        let cure = match near.filter(|(far, name)| *far <= 2 && *far < name.chars().count()) {
            Some((_, name)) => format!("write `{name}`; large and small letters count"),
            None if names.is_empty() => "leave the expression out: there are no variables here".to_owned(),
            None => format!("known here: {}", names.join(", ")),
        };
        WrongAt::new(at, format!("no variable is called `{}`", super::lexer::cut(&path.name)), cure)
    }

    fn no_variable(&self, literal: &Literal) -> WrongAt {
        let names = self.names();
        let cure = match names.is_empty() {
            true => "leave the expression out: there are no variables here".to_owned(),
            false => format!("name a variable: {}", names.join(", ")),
        };
        WrongAt::new(literal.at, "compares values that are all written", cure)
    }
}

/// Kinds of what is no list and no tuple in it.
fn elementary(kind: &Kind) -> Vec<&Kind> {
    match kind {
        Kind::List(inner) => elementary(inner),
        Kind::Tuple(members) => members.iter().flat_map(|(_, kind)| elementary(kind)).collect(),
        kind => vec![kind],
    }
}

/// Whether values of two kinds can be the same.
fn is_comparable(a: &Kind, b: &Kind) -> bool {
    match (a, b) {
        (Kind::Bytes(a), Kind::Bytes(b)) => a.is_none() || b.is_none() || a == b,
        (Kind::List(a), Kind::List(b)) => is_comparable(a, b),
        (Kind::Tuple(a), Kind::Tuple(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|((_, a), (_, b))| is_comparable(a, b))
        }
        (a, b) => a == b,
    }
}
