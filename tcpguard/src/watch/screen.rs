//! The terminal while the live table is on it, and giving it back whatever happens.

use std::{
    cell::RefCell,
    env,
    fs::File,
    io, panic,
    rc::Rc,
    sync::{
        Once, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use ratatui::{
    Frame, Terminal,
    backend::CrosstermBackend,
    crossterm::{
        cursor::{Hide, Show},
        execute,
        terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode},
    },
};

use super::output::{self, Output};

/// Whether the terminal is ours: what has to be given back, exactly once.
static TAKEN: AtomicBool = AtomicBool::new(false);
/// The terminal, to give it back.
static TERMINAL: OnceLock<File> = OnceLock::new();

/// The terminal in raw mode, on its alternate screen. Dropped or in a panic, it is given back.
pub(super) struct Screen {
    terminal: Terminal<CrosstermBackend<Canvas>>,
    canvas: Canvas,
    output: Output,
}

impl Screen {
    /// Takes the terminal.
    pub(super) fn take() -> io::Result<Self> {
        give_back_in_a_panic();
        let canvas = Canvas::default();
        let terminal = Terminal::new(CrosstermBackend::new(canvas.clone()))?;
        let mut screen = Self {
            terminal,
            canvas,
            output: Output::terminal()?,
        };
        // In the end it may be no longer permitted: with `sudo` it is another user's.
        if let Ok(terminal) = output::reopened_terminal() {
            let _ = TERMINAL.set(terminal);
        }
        TAKEN.store(true, Ordering::Relaxed);
        enable_raw_mode()?;
        execute!(screen.canvas, EnterAlternateScreen, Hide)?;
        Ok(screen)
    }

    /// Draws what differs from the last drawing; [`Screen::taken`] brings it to the terminal.
    pub(super) fn draw(&mut self, content: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        self.terminal.draw(content)?;
        self.output.push(&self.canvas.0.take());
        Ok(())
    }

    /// Forgets what is on the screen, so that the next drawing draws everything.
    pub(super) fn forget(&mut self) -> io::Result<()> {
        // Not `clear`: it asks the terminal where its cursor is and waits for the answer among the
        // keys, which are read elsewhere.
        let area = self.terminal.size()?.into();
        self.terminal.resize(area)
    }

    /// How many characters a line holds.
    pub(super) fn width(&self) -> usize {
        self.terminal
            .size()
            .map_or(80, |size| usize::from(size.width))
    }

    /// Waits until the terminal has taken what was drawn.
    pub(super) async fn taken(&mut self) -> io::Result<()> {
        self.output.taken().await
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

/// Where ratatui draws: in memory, because it would block on a terminal that is held.
#[derive(Clone, Default)]
struct Canvas(Rc<RefCell<Vec<u8>>>);

impl io::Write for Canvas {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whether the terminal says that it can place a cursor.
pub(super) fn is_capable() -> bool {
    env::var_os("TERM").is_some_and(|name| !name.is_empty() && name != "dumb")
}

/// Whether colours are welcome, as <https://no-color.org> has it.
pub(super) fn is_colored() -> bool {
    env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

fn give_back() {
    if TAKEN.swap(false, Ordering::Relaxed) {
        // Each is tried even if the other failed, and there is nobody left to tell.
        let _ = if let Some(mut terminal) = TERMINAL.get() {
            execute!(terminal, LeaveAlternateScreen, Show)
        } else {
            execute!(io::stdout(), LeaveAlternateScreen, Show)
        };
        let _ = disable_raw_mode();
    }
}

/// The message of a panic is printed before anything is dropped, so the screen has to go first.
fn give_back_in_a_panic() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let next = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            give_back();
            next(panic);
        }));
    });
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    const PANIC: &str = "TCPGUARD_TEST_PANICS";

    /// Started again on a terminal of its own, where it takes the screen and panics.
    #[test]
    fn a_panic_gives_the_terminal_back_before_it_says_why() {
        if env::var_os(PANIC).is_some() {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap()
                .block_on(async {
                    let mut screen = Screen::take().unwrap();
                    screen.draw(|_| {}).unwrap();
                    screen.taken().await.unwrap();
                    panic!("for the test");
                });
        }
        let program = env::current_exe().unwrap();
        let again = format!(
            "stty -g; {PANIC}=1 {} --exact --nocapture \
             watch::screen::tests::a_panic_gives_the_terminal_back_before_it_says_why; stty -g",
            program.display()
        );
        let output = Command::new("script")
            .args(["--quiet", "--command", &again, "/dev/null"])
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stdout);
        let (taken, left) = told.split_once("\x1b[?1049h").expect("takes the screen");
        let (_, message) = left.split_once("\x1b[?1049l").expect("leaves the screen");
        assert!(message.contains("for the test"), "{told}");
        let modes = |text: &str| text.lines().next_back().map(|it| it.trim().to_owned());
        let before = taken.lines().next().map(|it| it.trim().to_owned());
        assert_eq!(modes(message), before, "{told}");
    }
}
