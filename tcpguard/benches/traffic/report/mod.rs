//! The result, as tables or as one JSON object.

mod attack;
mod peace;

use serde_json::json;

pub(crate) use self::{attack::Attacked, peace::Peaceful};
use crate::{Args, lab::figures::machine};

pub(crate) fn text(peaceful: Option<&Peaceful>, attacked: Option<&Attacked>, args: &Args) {
    if let Some(figures) = peaceful {
        figures.text();
    }
    if let Some(figures) = attacked {
        figures.text();
    }
    println!("medians of {} rounds\n{}", args.rounds, machine());
}

pub(crate) fn json(peaceful: Option<&Peaceful>, attacked: Option<&Attacked>, args: &Args) {
    println!(
        "{}",
        json!({"rounds": args.rounds, "machine": machine(),
               "peace": peaceful.map(Peaceful::json), "attack": attacked.map(Attacked::json)})
    );
}
