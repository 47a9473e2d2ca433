/// The one script. Pages say everything without it; with it they change while they are open.
let pageScript: StaticString = #"""

    "use strict";
    document.addEventListener("DOMContentLoaded", () => {
      const live = document.getElementById("live");
      const pending = new Map();
      let lastID = "";

      // Times: local ones as a tooltip, ages that go on.
      const age = milliseconds => {
        const s = Math.max(0, Math.floor(milliseconds / 1000));
        if (s < 60) return s + "s";
        if (s < 3600) return Math.floor(s / 60) + "m " + (s % 60) + "s";
        if (s < 86400) return Math.floor(s / 3600) + "h " + (Math.floor(s / 60) % 60) + "m";
        return Math.floor(s / 86400) + "d " + (Math.floor(s / 3600) % 24) + "h";
      };
      const localTimes = root => {
        for (const time of root.querySelectorAll("time[data-time]")) {
          time.title = new Date(Number(time.dataset.time)).toLocaleString() + " local time";
        }
      };
      // By the controller's clock, as of when it drew the page: the reader's may be wrong.
      const skew = Date.now() - Number(document.querySelector("footer time")?.dataset.time || Date.now());
      const ages = () => {
        for (const span of document.querySelectorAll(".ago[data-time]")) {
          const text = age(Date.now() - skew - Number(span.dataset.time)) + " ago";
          if (span.textContent !== text) span.textContent = text;
        }
      };

      // Copying of commands.
      const copies = root => {
        if (!navigator.clipboard) return;
        for (const button of root.querySelectorAll("button[data-copy]")) button.hidden = false;
      };
      document.addEventListener("click", event => {
        const button = event.target.closest("button[data-copy]");
        if (!button) return;
        navigator.clipboard.writeText(button.dataset.copy).then(() => {
          button.textContent = "Copied";
          setTimeout(() => { button.textContent = "Copy"; }, 2000);
        });
      });

      // One press, one request.
      document.addEventListener("submit", event => {
        setTimeout(() => {
          for (const button of event.target.querySelectorAll("button[type=submit]")) button.disabled = true;
        }, 0);
      });
      window.addEventListener("pageshow", event => {
        if (!event.persisted) return;
        for (const button of document.querySelectorAll("button[type=submit]")) button.disabled = false;
      });

      // Parts of the page, replaced as they change; never under the hands of someone who types there.
      const isBusy = part => {
        const active = document.activeElement;
        return active && part.contains(active) && active.matches("input, select, textarea, button");
      };
      const replace = fresh => {
        const part = document.getElementById(fresh.id);
        if (!part || part.innerHTML === fresh.innerHTML) return;
        if (isBusy(part)) { pending.set(fresh.id, fresh); return; }
        pending.delete(fresh.id);
        const open = [...part.querySelectorAll("details")].map(details => details.open);
        const scroll = [...part.querySelectorAll(".scroll")].map(region => region.scrollLeft);
        const focused = [...part.querySelectorAll("a, summary, .scroll")].indexOf(document.activeElement);
        part.replaceChildren(...fresh.childNodes);
        part.querySelectorAll("details").forEach((details, i) => { details.open = open[i] || false; });
        part.querySelectorAll(".scroll").forEach((region, i) => { region.scrollLeft = scroll[i] || 0; });
        if (focused >= 0) part.querySelectorAll("a, summary, .scroll")[focused]?.focus({ preventScroll: true });
        localTimes(part);
        copies(part);
      };
      document.addEventListener("focusout", () => {
        setTimeout(() => { for (const fresh of [...pending.values()]) replace(fresh); }, 0);
      });
      const parse = html => new DOMParser().parseFromString(html, "text/html").body.firstElementChild;
      const addLine = line => {
        const log = document.getElementById("log");
        if (!log || !line || document.getElementById(line.id)) return;
        line.classList.add("new");
        log.prepend(line);
        while (log.children.length > 500) log.lastElementChild.remove();
        localTimes(line);
      };

      // The stream. The browser comes back by itself with Last-Event-ID after a broken connection, and this script after a refusal.
      const say = (text, isLost) => {
        live.textContent = text;
        live.classList.toggle("lost", isLost);
      };
      let wait = 1000;
      let lostAt = 0;
      const lost = () => {
        lostAt = lostAt || Date.now();
        say("Not live: the connection was lost at " + new Date(lostAt).toISOString().slice(11, 19) + "Z. What you see is from before. Trying again…", true);
      };
      const signedOut = () => {
        const link = document.createElement("a");
        link.href = "/sign-in?to=" + encodeURIComponent(location.pathname);
        link.textContent = "Sign in again";
        say("Not live: you are signed out, and nothing that you press here is done. ", true);
        live.append(link);
      };
      const again = () => {
        setTimeout(connect, wait);
        wait = Math.min(wait * 2, 30000);
      };
      const connect = () => {
        const address = new URL(document.body.dataset.stream, location.href);
        if (lastID) address.searchParams.set("after", lastID);
        const source = new EventSource(address);
        // A connection that is open and silent is lost too: the other side says every few seconds that it is there.
        let silence;
        const heard = () => {
          clearTimeout(silence);
          silence = setTimeout(() => {
            source.close();
            lost();
            again();
          }, 15000);
        };
        const isLive = () => {
          heard();
          wait = 1000;
          lostAt = 0;
          if (live.textContent !== "Live.") say("Live.", false);
        };
        heard();
        source.addEventListener("open", heard);
        source.addEventListener("beat", isLive);
        source.addEventListener("part", event => {
          isLive();
          replace(parse(event.data));
        });
        source.addEventListener("line", event => {
          isLive();
          lastID = event.lastEventId || lastID;
          addLine(parse(event.data));
        });
        source.addEventListener("end", () => {
          clearTimeout(silence);
          source.close();
          say("It is over; nothing changes any more.", false);
          document.getElementById("halt")?.remove();
          document.querySelector(".others")?.remove();
        });
        source.addEventListener("error", () => {
          lost();
          if (source.readyState !== EventSource.CLOSED) return;
          clearTimeout(silence);
          // Refused, and the reason is not shown to scripts: whoever is signed out is led away from the page itself too.
          fetch(location.href, { redirect: "manual" }).then(
            answer => { if (answer.type === "opaqueredirect") signedOut(); else again(); }, again);
        });
      };

      localTimes(document);
      copies(document);
      // What is newest stands at the right.
      for (const region of document.querySelectorAll("#timeline .scroll")) region.scrollLeft = region.scrollWidth;
      ages();
      setInterval(ages, 1000);
      if (document.body.dataset.stream && window.EventSource) connect();
    });

    """#
