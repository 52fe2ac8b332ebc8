//! Where in the file a key stands.

use super::error::Position;
use toml::de::{DeTable, DeValue};

/// The place of the value at `path`, such as `port.0.cores`: keys and numbers of elements, joined by dots (no key of ours
/// has one). A value that is not written stands where its table does.
pub(super) fn locate(text: &str, path: &str) -> Option<Position> {
    let root = DeTable::parse(text).ok()?;
    let mut steps = path.split('.');
    let mut found = root.get_ref().get(steps.next()?)?;
    for step in steps {
        let next = match found.get_ref() {
            DeValue::Table(table) => table.get(step),
            DeValue::Array(array) => step.parse().ok().and_then(|index: usize| array.get(index)),
            _ => None,
        };
        match next {
            Some(next) => found = next,
            None => break,
        }
    }
    Some(Position::of(text, found.span().start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_what_holds_them_are_found() {
        let text = "mode = 'x'\n[[port]]\nname = 'a'\n\n[[port]]\ncores = [1,\n  22]\n[ntp.server]\nport = 1\n";
        let at = |path| locate(text, path).map(|position| (position.line, position.column));
        assert_eq!(at("mode"), Some((1, 8)));
        assert_eq!(at("port.0.name"), Some((3, 8)));
        assert_eq!(at("port.1.cores.1"), Some((7, 3)));
        assert_eq!(at("port.1.missing"), at("port.1"));
        assert_eq!(at("port.1"), Some((5, 1)));
        assert_eq!(at("ntp.server.port"), Some((9, 8)));
        assert_eq!(at("clock.stratum"), None);
    }
}
