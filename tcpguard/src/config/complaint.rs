//! What is wrong with a file, and where.

use std::ops::Range;

/// A complaint of the parser: line and column, what is wrong, and the line itself.
pub(super) fn complaint(text: &str, error: &toml::de::Error) -> String {
    let message = unknown(error.message()).unwrap_or_else(|| error.message().to_owned());
    shown(text, error.span().unwrap_or(0..0), &message)
}

/// The same about a key that is there.
pub(super) fn at_key(text: &str, key: &str, message: &str) -> String {
    let start = text
        .split_inclusive('\n')
        .scan(0, |at, line| {
            let start = *at;
            *at += line.len();
            Some((start, line))
        })
        .find(|(_, line)| line.trim_start().starts_with(key))
        .map_or(0, |(start, line)| {
            start + line.len() - line.trim_start().len()
        });
    shown(text, start..start + key.len(), message)
}

/// An unknown key, with the one that is probably meant.
fn unknown(message: &str) -> Option<String> {
    let (key, expected) = message.strip_prefix("unknown field `")?.split_once('`')?;
    let known: Vec<_> = expected.split('`').skip(1).step_by(2).collect();
    let nearest = nearest(key, &known);
    let hint = nearest.map_or_else(String::new, |key| format!(", did you mean `{key}`?"));
    let known: Vec<_> = known.iter().map(|key| format!("`{key}`")).collect();
    Some(format!(
        "unknown key `{key}`{hint} (there are {})",
        known.join(", ")
    ))
}

fn nearest<'a>(key: &str, known: &[&'a str]) -> Option<&'a str> {
    const ALIKE: f64 = 0.75;
    let likeness = |known: &str| strsim::jaro_winkler(key, known);
    let known = known.iter().map(|known| (likeness(known), *known));
    let (likeness, nearest) = known.max_by(|one, two| one.0.total_cmp(&two.0))?;
    (likeness > ALIKE).then_some(nearest)
}

fn shown(text: &str, span: Range<usize>, message: &str) -> String {
    let before = text.get(..span.start).unwrap_or(text);
    let number = before.matches('\n').count() + 1;
    let line = text.lines().nth(number - 1).unwrap_or_default();
    let indent = before.lines().last().filter(|_| !before.ends_with('\n'));
    let indent = indent.unwrap_or_default().chars().count();
    let length = text.get(span).map_or(1, |marked| {
        marked.lines().next().unwrap_or_default().chars().count()
    });
    let margin = " ".repeat(number.to_string().len());
    format!(
        "{number}:{}: {message}\n  {number} | {line}\n  {margin} | {}{}",
        indent + 1,
        " ".repeat(indent),
        "^".repeat(length.max(1))
    )
}
