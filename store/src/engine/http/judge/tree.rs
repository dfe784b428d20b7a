//! The second look, at the engine's syntax tree: kinds of nodes that are known, and functions in the place of tables.

use super::super::error::{Code, Failure};
use super::names::{NODES, TABLE_FUNCTIONS};

/// Refuses a tree, as `EXPLAIN AST` prints it, with a node that is not known or a table function that is not allowed.
pub(super) fn check(tree: &str) -> Result<(), Failure> {
    let denied = |what: String| Err(Code::AccessDenied.failure(format!("Not enough privileges: {what}")));
    let mut lines = tree.lines().peekable();
    if lines.peek().is_none() {
        return denied("this statement has no tree".to_owned());
    }
    while let Some(line) = lines.next() {
        let (depth, node, _) = parts(line);
        // A line that begins with anything else continues a text or a name with a line break in it.
        if !NODES.contains(&node) {
            return denied(format!("{} is not for analysts", if node.is_empty() { "an empty node" } else { node }));
        }
        if node == "TableExpression"
            && let Some((below, "Function", rest)) = lines.peek().map(|line| parts(line))
            && below > depth
        {
            let name = rest.split(" (").next().unwrap_or_default().trim();
            if !TABLE_FUNCTIONS.contains(&name.to_lowercase().as_str()) {
                return denied(format!("the table function {name} is not for analysts"));
            }
        }
    }
    Ok(())
}

/// Depth, node and the rest of a line.
fn parts(line: &str) -> (usize, &str, &str) {
    let text = line.trim_start_matches(' ');
    let (node, rest) = text.split_once(' ').unwrap_or((text, ""));
    (line.len() - text.len(), node, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn select(inner: &str) -> String {
        format!("SelectWithUnionQuery (children 1)\n ExpressionList (children 1)\n  SelectQuery (children 2)\n{inner}")
    }

    #[test]
    fn known_nodes_pass_and_others_do_not() {
        assert!(check(&select("   Function file (children 1)\n    Literal 'x'")).is_ok(), "calls are judged elsewhere");
        assert!(
            check(&select("   TableExpression (children 1)\n    Function numbers (children 1)\n     ExpressionList"))
                .is_ok()
        );
        assert!(check(&select("   TableExpression (children 1)\n    TableIdentifier a.b (alias c)")).is_ok());
        for refused in [
            "   TableExpression (children 1)\n    Function url (alias u) (children 1)",
            "   TableExpression (children 1)\n    Function format (children 1)",
            "   NewNode",
        ] {
            assert!(check(&select(refused)).is_err(), "{refused}");
        }
        for refused in ["", "DropQuery  t", "ShowProcesslistQuery"] {
            assert!(check(refused).is_err(), "{refused}");
        }
    }
}
