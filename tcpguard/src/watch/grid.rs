//! Columns of text that keep their places while the numbers in them change.
//!
//! Widths come from the kind of a column and never from its numbers, so nothing moves sideways from
//! one refresh to the next.

use ratatui::text::{Line, Span};

use super::{
    number,
    tone::{Palette, Tone},
};

/// Blanks between columns. Digits are grouped by one blank, so two is the least that separates.
const LEAST_GAP: usize = 2;
const WIDEST_GAP: usize = 5;

/// A table, column by column.
#[derive(Default)]
pub(super) struct Grid {
    columns: Vec<Column>,
}

/// A column: its title, then a cell for each row.
pub(super) struct Column {
    title: &'static str,
    width: usize,
    /// Numbers end at the same place, text begins there.
    is_number: bool,
    /// Takes all the width that is left.
    is_wide: bool,
    /// The first to go where there is no room has the highest; with zero it stays.
    rank: u8,
    cells: Vec<Cell>,
}

/// A text and what it means.
pub(super) struct Cell(pub(super) String, pub(super) Tone);

impl Column {
    /// Text that is at most `width` wide.
    pub(super) fn text(title: &'static str, width: usize, cells: Vec<Cell>) -> Self {
        Self {
            title,
            width,
            is_number: false,
            is_wide: false,
            rank: 0,
            cells,
        }
    }

    /// Numbers that are at most `width` wide.
    pub(super) fn number(title: &'static str, width: usize, cells: Vec<Cell>) -> Self {
        Self {
            is_number: true,
            ..Self::text(title, width, cells)
        }
    }

    /// Text that is shortened to whatever width is left, or goes if that is less than `width`.
    pub(super) fn wide(title: &'static str, width: usize, cells: Vec<Cell>) -> Self {
        Self {
            is_wide: true,
            ..Self::text(title, width, cells)
        }
    }

    /// Goes where there is no room, those with the highest rank first.
    pub(super) fn rank(self, rank: u8) -> Self {
        Self { rank, ..self }
    }
}

impl Grid {
    /// Appends a column.
    pub(super) fn push(&mut self, column: Column) {
        self.columns.push(column);
    }

    /// The titles and then the rows, at most `width` wide if the columns that stay allow it.
    pub(super) fn lines(mut self, width: usize, palette: Palette) -> Vec<Line<'static>> {
        self.leave_out_until_it_fits(width);
        let gap = self.stretch(width);
        let rows = self
            .columns
            .iter()
            .map(|column| column.cells.len())
            .max()
            .unwrap_or(0);
        let titles = self.line(gap, |index, column| {
            let tone = if index == 0 { Tone::Title } else { Tone::Quiet };
            Some((column.title, palette.style(tone)))
        });
        let rows = (0..rows).map(|row| {
            self.line(gap, |_, column| {
                let Cell(text, tone) = column.cells.get(row)?;
                Some((text, palette.style(*tone)))
            })
        });
        std::iter::once(titles).chain(rows).collect()
    }

    fn leave_out_until_it_fits(&mut self, width: usize) {
        while self.width(LEAST_GAP) > width {
            let ranked = self
                .columns
                .iter()
                .enumerate()
                .filter(|(_, column)| column.rank > 0);
            let Some((index, _)) = ranked.max_by_key(|(_, column)| column.rank) else {
                return;
            };
            self.columns.remove(index);
        }
    }

    /// Hands out the width that is left and returns the gap.
    fn stretch(&mut self, width: usize) -> usize {
        let spare = width.saturating_sub(self.width(LEAST_GAP));
        let gaps = self.columns.len().saturating_sub(1).max(1);
        match self.columns.iter_mut().find(|column| column.is_wide) {
            Some(column) => {
                let gap = LEAST_GAP + usize::from(spare > 12 * gaps);
                column.width += spare - (gap - LEAST_GAP) * gaps;
                gap
            }
            None => (LEAST_GAP + spare / gaps).min(WIDEST_GAP),
        }
    }

    fn width(&self, gap: usize) -> usize {
        let columns: usize = self.columns.iter().map(|column| column.width).sum();
        columns + gap * self.columns.len().saturating_sub(1)
    }

    fn line<'a>(
        &'a self,
        gap: usize,
        cell: impl Fn(usize, &'a Column) -> Option<(&'a str, ratatui::style::Style)>,
    ) -> Line<'static> {
        let mut line = Line::default();
        for (index, column) in self.columns.iter().enumerate() {
            let (text, style) = cell(index, column).unwrap_or_default();
            let text = number::shortened(text, column.width);
            let blanks = " ".repeat(column.width.saturating_sub(text.chars().count()));
            if index > 0 {
                line.push_span(" ".repeat(gap));
            }
            let text = Span::styled(text, style);
            let (first, second) = if column.is_number {
                (blanks.into(), text)
            } else {
                (text, blanks.into())
            };
            line.push_span(first);
            line.push_span(second);
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(width: usize) -> Vec<String> {
        let cells = |texts: [&str; 2]| texts.map(|text| Cell(text.into(), Tone::Plain)).into();
        let mut grid = Grid::default();
        grid.push(Column::text("name", 6, cells(["eth0", "lo"])));
        grid.push(Column::number("total", 5, cells(["1 234", "5"])));
        grid.push(Column::number("/s", 3, cells(["7", "<1"])).rank(2));
        grid.push(Column::wide("note", 4, cells(["a long remark", "brief"])).rank(1));
        let lines = grid.lines(width, Palette::Plain);
        lines
            .iter()
            .map(|line| line.to_string().trim_end().to_owned())
            .collect()
    }

    #[test]
    fn numbers_end_and_texts_begin_below_each_other() {
        assert_eq!(
            lines(40),
            [
                "name    total   /s  note",
                "eth0    1 234    7  a long remark",
                "lo          5   <1  brief",
            ]
        );
    }

    #[test]
    fn the_wide_column_is_shortened_then_columns_go_by_rank() {
        assert_eq!(lines(28)[1], "eth0    1 234    7  a long…");
        assert_eq!(lines(22)[1], "eth0    1 234  a long…");
        assert_eq!(lines(13)[1], "eth0    1 234");
        assert_eq!(
            lines(1)[1],
            "eth0    1 234",
            "what stays is cut by the screen"
        );
    }
}
