//! Comments are written for a colleague: subject, verb, object. A question word at the front of one has mostly taken the subject's
//! place, so few comments begin with one.

use super::sources::all;

/// Words that a comment seldom begins with.
const QUESTIONS: [&str; 4] = ["What", "Who", "Which", "Where"];
/// Of a thousand lines of comments, so many may begin with one.
const PER_MILLE_MAX: usize = 10;

/// The first word of a line of comment; `None`: the line is none, or has no word.
fn first_word(line: &str) -> Option<&str> {
    let comment = line.trim_start().strip_prefix("//")?.trim_start_matches(['/', '!']).trim_start();
    comment.split(|c: char| !c.is_alphanumeric()).next().filter(|word| !word.is_empty())
}

/// Lines of comments, and those of them that begin with a question word, by number.
fn questions(text: &str) -> (usize, Vec<usize>) {
    let words = text.lines().zip(1..).filter_map(|(line, number)| Some((first_word(line)?, number)));
    let words: Vec<(&str, usize)> = words.collect();
    let found = words.iter().filter(|(word, _)| QUESTIONS.contains(word)).map(|(_, number)| *number);
    (words.len(), found.collect())
}

#[test]
fn comments_seldom_begin_with_a_question_word() {
    let (mut lines, mut found) = (0, Vec::new());
    for source in all(&["src"]) {
        let (of_file, numbers) = questions(&source.text);
        lines += of_file;
        found.extend(numbers.into_iter().map(|number| format!("{}:{number}", source.file)));
    }
    assert!(found.len() * 1_000 <= lines * PER_MILLE_MAX, "say who does what instead:\n{}", found.join("\n"));
}

#[test]
fn question_words_are_found_at_the_front_of_comments_alone() {
    let text = "//! What it is.\n/// A user.\n    // Who, then?\nlet what = \"// What\"; // Which\n///\n/// Whatever comes.\n";
    assert_eq!(questions(text), (4, vec![1, 3]));
}
