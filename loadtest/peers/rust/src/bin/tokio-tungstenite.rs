//! An echo server on tokio-tungstenite. `/chat` sends every message to all who are there.
//!
//! Its default read buffer of 128 KiB, taken at once for each connection, costs twice the time and ten times the
//! memory: 8 KiB. Messages that are there already are answered together, with one flush.

use std::io;

use futures_util::{FutureExt, SinkExt, StreamExt};
use loadtest_peers::{Room, listen, run};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async_with_config};

fn main() -> io::Result<()> {
    run(async {
        let listener = listen()?;
        let room = Room::new();
        loop {
            let Ok((stream, _)) = listener.accept().await else { continue };
            stream.set_nodelay(true)?;
            // A connection that breaks is its client's affair.
            tokio::spawn(serve(stream, room.clone()).map(|_| ()));
        }
    })
}

async fn serve(stream: TcpStream, room: Room<Message>) -> Result<(), Error> {
    let config = WebSocketConfig::default().read_buffer_size(8 << 10);
    let mut chat = false;
    #[expect(clippy::result_large_err, reason = "the library's signature")]
    let look = |request: &Request, response: Response| {
        chat = request.uri().path().starts_with("/chat");
        Ok(response)
    };
    let socket = accept_hdr_async_with_config(stream, look, Some(config)).await?;
    if chat { converse(socket, &room).await } else { echo(socket).await }
}

async fn echo(mut socket: WebSocketStream<TcpStream>) -> Result<(), Error> {
    while let Some(message) = socket.next().await {
        answer(&mut socket, message?).await?;
        while let Some(Some(message)) = socket.next().now_or_never() {
            answer(&mut socket, message?).await?;
        }
        socket.flush().await?;
    }
    Ok(())
}

async fn answer(socket: &mut WebSocketStream<TcpStream>, message: Message) -> Result<(), Error> {
    // The library answers Pings and Close itself.
    if message.is_text() || message.is_binary() { socket.feed(message).await } else { Ok(()) }
}

async fn converse(socket: WebSocketStream<TcpStream>, room: &Room<Message>) -> Result<(), Error> {
    let (mut out, mut incoming) = socket.split();
    let (id, mut messages) = room.join();
    let writer = tokio::spawn(async move {
        while let Some(message) = messages.recv().await {
            out.feed(message).await?;
            while let Ok(message) = messages.try_recv() {
                out.feed(message).await?;
            }
            out.flush().await?;
        }
        Ok::<_, Error>(())
    });
    while let Some(Ok(message)) = incoming.next().await {
        if message.is_text() || message.is_binary() {
            room.say(&message);
        }
    }
    room.leave(id);
    writer.await.unwrap_or(Ok(()))
}
