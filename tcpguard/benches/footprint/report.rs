//! The result, as tables or as one JSON object.

use serde_json::{Map, Value, json};

use crate::{
    Args,
    figures::{machine, rounded},
};

/// What is measured of each subject, and how the keys of that are called.
pub(crate) struct Column {
    heading: &'static str,
    key: &'static str,
}

impl Column {
    pub(crate) const fn new(heading: &'static str, key: &'static str) -> Self {
        Self { heading, key }
    }
}

/// A table: a row for each subject, a column for each thing that is measured.
pub(crate) struct Section {
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: Vec<(String, Vec<f64>)>,
}

pub(crate) fn text(sections: &[(&str, Section)], args: &Args) {
    for (name, section) in sections {
        print!("{name:<44}");
        for column in &section.columns {
            print!(" {:>12}", column.heading);
        }
        println!();
        for (subject, amounts) in &section.rows {
            print!("{subject:<44}");
            for amount in amounts {
                // What does not apply.
                if amount.is_nan() {
                    print!(" {:>12}", "-");
                } else {
                    print!(" {amount:>12.2}");
                }
            }
            println!();
        }
        println!();
    }
    println!(
        "{} connections; medians of {} rounds; what runs is watched for {} s\n{}",
        args.connections,
        args.rounds,
        args.seconds,
        machine()
    );
}

pub(crate) fn json(sections: &[(&str, Section)], args: &Args) {
    let row = |section: &Section, (subject, amounts): &(String, Vec<f64>)| {
        let keys = section.columns.iter().map(|column| column.key.to_owned());
        let amounts = amounts.iter().map(|amount| json!(rounded(*amount)));
        let named = [("name".to_owned(), json!(subject))];
        Value::Object(
            named
                .into_iter()
                .chain(keys.zip(amounts))
                .collect::<Map<_, _>>(),
        )
    };
    let sections = sections.iter().map(|(name, section)| {
        let rows: Vec<_> = section.rows.iter().map(|it| row(section, it)).collect();
        json!({"section": name, "rows": rows})
    });
    println!(
        "{}",
        json!({"connections": args.connections, "rounds": args.rounds, "seconds": args.seconds,
               "machine": machine(), "sections": sections.collect::<Vec<_>>()})
    );
}
