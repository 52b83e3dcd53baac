//! The cost of an established connection's segment over the number of connections, as a picture.

use std::path::Path as FilePath;

use anyhow::{Result, anyhow, ensure};
use plotters::prelude::*;

use crate::{
    figures::{machine, median},
    report::net,
    stages::FLOWS,
    tracked::path::Path,
};

const SIZE: (u32, u32) = (840, 480);
const FONT: &str = "sans-serif";
/// Who is drawn, and how.
const LINES: [(&str, &str, RGBColor, bool); 4] = [
    ("guard", "IPv4", RGBColor(0, 95, 175), false),
    ("guard", "IPv6", RGBColor(0, 95, 175), true),
    ("kernel hash", "IPv4", RGBColor(190, 70, 0), false),
    ("kernel hash", "IPv6", RGBColor(190, 70, 0), true),
];

/// Draws the stage of connections by chance, without what it costs to make another frame.
pub(crate) fn draw(paths: &[Path], file: &FilePath) -> Result<()> {
    let lines = LINES.map(|(who, family, ..)| points(paths, who, family));
    ensure!(
        lines.iter().all(|points| points.len() == FLOWS.len()),
        "the plot is of connections by chance, which --only leaves out"
    );
    let most = lines
        .iter()
        .flatten()
        .map(|(_, nanos)| *nanos)
        .fold(0.0, f64::max);
    plot(&lines, most, file).map_err(|error| anyhow!("failed to draw {}: {error}", file.display()))
}

/// Connections, and net nanoseconds a segment.
fn points(paths: &[Path], who: &str, family: &str) -> Vec<(f64, f64)> {
    let of = |(name, flows): (&str, u32)| {
        let name = format!("{who}, {name}, {family}");
        let path = paths.iter().find(|path| path.name == name)?;
        Some((f64::from(flows), median(net(path, paths)?)))
    };
    FLOWS.into_iter().filter_map(of).collect()
}

fn plot(
    lines: &[Vec<(f64, f64)>],
    most: f64,
    file: &FilePath,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let area = SVGBackend::new(file, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let last = FLOWS.len() - 1;
    let mut chart = ChartBuilder::on(&area)
        .caption(
            "A segment of one of many established connections",
            (FONT, 20),
        )
        .margin(16)
        .x_label_area_size(56)
        .y_label_area_size(56)
        .build_cartesian_2d(
            (1.0..f64::from(FLOWS[last].1) * 1.3).log_scale(),
            0.0..most * 1.1,
        )?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .x_desc(format!(
            "connections, of which each segment has one by chance ({})",
            machine()
        ))
        .y_desc("ns a segment")
        .x_label_formatter(&|connections| format!("{connections:.0}"))
        .y_label_formatter(&|nanos| format!("{nanos:.0}"))
        .label_style((FONT, 13))
        .draw()?;
    for ((who, family, colour, is_hollow), points) in LINES.iter().zip(lines) {
        let style = ShapeStyle {
            color: colour.to_rgba(),
            filled: !is_hollow,
            stroke_width: 2,
        };
        chart
            .draw_series(LineSeries::new(points.iter().copied(), style).point_size(4))?
            .label(format!("{who}, {family}"))
            .legend(move |(x, y)| Circle::new((x + 8, y), 4, style));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .border_style(TRANSPARENT)
        .label_font((FONT, 14))
        .draw()?;
    area.present()?;
    Ok(())
}
