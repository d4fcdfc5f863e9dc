//! Markdown as it is put together: paragraphs, headings, tables and pictures with the blank lines between them.

/// A text that grows.
#[derive(Debug, Default)]
pub struct Markdown(String);

impl Markdown {
    pub fn into_text(self) -> String {
        self.0
    }

    /// A line by itself, or the next one of a list or of code.
    pub fn line(&mut self, line: &str) {
        self.0.push_str(line);
        self.0.push('\n');
    }

    pub fn paragraph(&mut self, text: &str) {
        self.blank();
        self.line(text);
    }

    /// A heading of the second level, and the blank line after it.
    pub fn section(&mut self, title: &str) {
        self.paragraph(&format!("## {title}"));
        self.blank();
    }

    /// A picture that stands by itself.
    pub fn picture(&mut self, label: &str, file: &str) {
        self.paragraph(&format!("![{label}]({file})"));
    }

    pub fn commands(&mut self, commands: impl IntoIterator<Item = String>) {
        self.line("```sh");
        commands.into_iter().for_each(|command| self.line(&command));
        self.line("```");
    }

    /// A table; its first column to the left, the others to the right.
    pub fn table(&mut self, header: &[&str], lines: &[Vec<String>]) {
        let rule = |index: usize| if index == 0 { "---" } else { "--:" };
        self.paragraph(&format!("| {} |", header.join(" | ")));
        self.line(&format!("|{}|", (0..header.len()).map(rule).collect::<Vec<_>>().join("|")));
        for line in lines {
            self.line(&format!("| {} |", line.join(" | ")));
        }
    }

    /// A blank line, if there is none yet.
    fn blank(&mut self) {
        if !self.0.is_empty() && !self.0.ends_with("\n\n") {
            self.0.push('\n');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_blank_line_stands_between_blocks() {
        let mut text = Markdown::default();
        text.section("A");
        text.picture("B", "b.svg");
        text.table(&["x", "y"], &[vec!["1".into(), "2".into()]]);
        text.section("C");
        text.line("- d");
        let expected = "## A\n\n![B](b.svg)\n\n| x | y |\n|---|--:|\n| 1 | 2 |\n\n## C\n\n- d\n";
        assert_eq!(text.into_text(), expected);
    }
}
