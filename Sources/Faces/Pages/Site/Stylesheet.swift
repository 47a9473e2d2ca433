/// The one stylesheet. Colours go with words and shapes; every pair of text and ground has a contrast of 4.5 at least in both schemes.
let stylesheet: StaticString = """

    :root { color-scheme: light dark;
      --ground: #ffffff; --surface: #f4f6f8; --ink: #1a1d21; --quiet: #545e6b; --line: #d3d9e0; --link: #0b57a4;
      --good: #0a6b3d; --good-ground: #e4f4ea; --busy: #0b57a4; --busy-ground: #e5effa;
      --warn: #824600; --warn-ground: #fdf0d9; --bad: #b3201a; --bad-ground: #fdeae8; --danger: #b3201a; --mark: #6a2fa0; }
    @media (prefers-color-scheme: dark) { :root {
      --ground: #14171b; --surface: #1e2328; --ink: #e8eaed; --quiet: #a9b3be; --line: #3a424b; --link: #8cbcf5;
      --good: #76d6a1; --good-ground: #14301f; --busy: #8cbcf5; --busy-ground: #14283f;
      --warn: #f3bc6c; --warn-ground: #38290f; --bad: #ff9d93; --bad-ground: #411a17; --danger: #c42b23; --mark: #cfa6f5; } }
    * { box-sizing: border-box; }
    html { font: 15px/1.45 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; background: var(--ground); color: var(--ink); }
    body { margin: 0 auto; max-width: 78rem; padding: 0 1rem 2rem; }
    h1, h2, h3, p, dl, ul, ol { margin: 0; } h1, h2, h3, p, dd, th[scope=row] { overflow-wrap: anywhere; }
    h1 { font-size: 1.7rem; line-height: 1.2; } h2 { font-size: 1.05rem; margin-bottom: .35rem; }
    main > h1 { margin: .7rem 0 .4rem; }
    h3 { font-size: .95rem; margin: .8rem 0 .3rem; }
    a { color: var(--link); } code, .number, .hash { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: .92em; }
    code { overflow-wrap: anywhere; } .number { font-variant-numeric: tabular-nums; }
    :focus-visible { outline: 3px solid var(--link); outline-offset: 2px; } main:focus { outline: none; }
    .quiet { color: var(--quiet); } .differs { color: var(--bad); font-weight: 600; }
    .skip { position: absolute; left: -99rem; } .skip:focus { left: 1rem; top: .5rem; background: var(--ground); padding: .4rem; z-index: 2; }
    header.top { display: flex; flex-wrap: wrap; align-items: center; gap: .3rem 1.2rem; padding: .45rem 0; border-bottom: 1px solid var(--line); }
    .brand { font-weight: 700; color: var(--ink); text-decoration: none; }
    nav ul { display: flex; flex-wrap: wrap; gap: .2rem 1rem; list-style: none; padding: 0; }
    nav a[aria-current] { color: var(--ink); font-weight: 600; text-decoration-thickness: 2px; }
    .account { margin-left: auto; display: flex; gap: .6rem; align-items: center; }
    section, .card { margin-top: .9rem; } footer { margin-top: 1.5rem; border-top: 1px solid var(--line); padding-top: .5rem; }
    .icon { vertical-align: -.15em; margin-right: .35em; overflow: visible; }
    .stroke { fill: none; stroke: currentColor; stroke-width: 2; stroke-linecap: round; stroke-linejoin: round; }
    .tone-good { color: var(--good); } .tone-busy { color: var(--busy); } .tone-warn { color: var(--warn); } .tone-bad { color: var(--bad); }
    .banner { display: grid; grid-template-columns: 1fr 19rem; gap: 1rem; align-items: start; margin-top: .7rem; }
    .banner > :only-child { grid-column: 1 / -1; }
    .state { border-left: 8px solid currentColor; padding-left: .8rem; } .state h1 .icon { width: 1.5rem; height: 1.5rem; vertical-align: -.2rem; }
    .state small { font-size: .95rem; font-weight: 400; color: var(--quiet); margin-left: .6rem; }
    .release { color: var(--ink); font-size: 1.05rem; overflow-wrap: anywhere; }
    .safety { margin: .6rem 0; padding: .5rem .8rem; border-radius: .4rem; font-size: 1.1rem; overflow-wrap: anywhere; }
    .safety.tone-good { background: var(--good-ground); } .safety.tone-busy { background: var(--busy-ground); }
    .safety.tone-warn { background: var(--warn-ground); } .safety.tone-bad { background: var(--bad-ground); }
    .facts { display: flex; flex-wrap: wrap; gap: .4rem 1.6rem; } .facts dt { color: var(--quiet); font-size: .85rem; }
    .facts dd { margin: 0; } .facts.wide > div { flex: 1 1 18rem; } progress { width: 6rem; margin-left: .5rem; accent-color: var(--busy); }
    .halt { border: 2px solid var(--danger); border-radius: .5rem; padding: .7rem; } .halt p { margin: .35rem 0; font-size: .88rem; }
    button { font: inherit; padding: .35rem .9rem; border: 1px solid var(--quiet); border-radius: .35rem; background: var(--surface); color: var(--ink); cursor: pointer; }
    button.danger { background: var(--danger); border-color: var(--danger); color: #ffffff; font-weight: 700; }
    button.big { width: 100%; font-size: 1.35rem; padding: .55rem; } button.plain { flex: none; padding: .1rem .5rem; font-size: .88rem; }
    button:disabled { opacity: .7; cursor: default; }
    input[type=text], input[type=password], input[type=search] { font: inherit; width: 100%; padding: .3rem .5rem; border: 1px solid var(--quiet); border-radius: .3rem; background: var(--ground); color: var(--ink); }
    .field { margin: .4rem 0; } .field label { display: block; font-size: .88rem; } .choice { font-size: .88rem; display: block; }
    .buttons { display: flex; flex-wrap: wrap; gap: .5rem; } .others form { max-width: 34rem; padding: .4rem 0; }
    .why { display: grid; grid-template-columns: 1fr 1fr; gap: 1rem; background: var(--surface); border-radius: .4rem; padding: .6rem .9rem; }
    .why p { overflow-wrap: anywhere; } .others { margin-top: .5rem; } summary { cursor: pointer; color: var(--link); }
    .approval { border-left: 8px solid var(--warn); background: var(--warn-ground); padding: .6rem .9rem; border-radius: 0 .4rem .4rem 0; }
    .approval form { max-width: 34rem; } .approval p, .approval li, .approval .field label { color: var(--ink); overflow-wrap: anywhere; }
    table { border-collapse: collapse; width: 100%; } th, td { text-align: left; padding: .28rem .55rem; vertical-align: middle; }
    thead th { color: var(--quiet); font-weight: 500; font-size: .85rem; border-bottom: 1px solid var(--line); }
    tbody tr { border-top: 1px solid var(--line); } tr.reason { border-top: 0; } tr.reason td { padding-top: 0; color: var(--quiet); font-size: .88rem; overflow-wrap: anywhere; }
    .signals th[scope=row] { font-weight: 600; min-width: 8rem; } .signals .number { white-space: nowrap; } .signals .base { display: block; font-size: .82em; white-space: normal; max-width: 13rem; } .narrow { display: none; }
    .verdict-fail .verdict { color: var(--bad); } .verdict-pass .verdict { color: var(--good); }
    .verdict-inconclusive .verdict, .verdict-nodata .verdict { color: var(--warn); } .verdict { white-space: nowrap; } .fresh { font-size: .88rem; }
    svg { color: var(--ink); } .ratio, .spark { display: block; } .band { fill: var(--good); opacity: .18; }
    .axis, .grid { stroke: var(--line); stroke-width: 1; } .one { stroke: var(--quiet); stroke-width: 1; stroke-dasharray: 2 2; }
    .boundary { stroke: var(--bad); stroke-width: 1.5; } .interval { stroke: var(--ink); stroke-width: 2; } .arrow, .estimate { fill: var(--ink); }
    .trend { fill: none; stroke: var(--ink); stroke-width: 1.5; }
    .scroll { overflow-x: auto; } .timeline { width: 100%; min-width: 44rem; display: block; } .timeline text { font: 12px system-ui, "DejaVu Sans", sans-serif; }
    .tick { fill: var(--quiet); } .observed { fill: none; stroke: var(--busy); stroke-width: 2.5; } .area { fill: var(--busy); opacity: .12; }
    .wanted { fill: none; stroke: var(--ink); stroke-width: 1.2; stroke-dasharray: 5 4; } .now { fill: var(--busy); } .now.lost { fill: var(--bad); }
    circle.verdict.pass { fill: var(--good); } path.verdict.fail { stroke: var(--bad); stroke-width: 2.5; fill: none; }
    circle.verdict.inconclusive { fill: none; stroke: var(--warn); stroke-width: 1.6; } path.verdict.nodata { stroke: var(--quiet); stroke-width: 2; }
    .mark line { stroke: var(--mark); stroke-width: 1; stroke-dasharray: 3 3; } .mark circle, .mark rect, .mark path { fill: var(--ground); stroke: var(--mark); stroke-width: 1.6; }
    .mark text { fill: var(--mark); font: 700 11px system-ui, "DejaVu Sans", sans-serif; }
    .key { display: flex; flex-wrap: wrap; gap: .2rem 1rem; font-size: .85rem; color: var(--quiet); margin: .3rem 0; }
    .log { list-style: none; padding: 0; max-height: 28rem; overflow-y: auto; } .log li { padding: .18rem 0; border-top: 1px solid var(--line); overflow-wrap: anywhere; }
    .log time, .plain-list time { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: .88em; color: var(--quiet); }
    .topic { display: inline-block; min-width: 4.5rem; color: var(--quiet); font-size: .85rem; } .log .new { background: var(--busy-ground); }
    .topic-state, .topic-command { font-weight: 600; } .stages { padding-left: 1.4rem; } .plain-list, .links { padding-left: 1.1rem; }
    .plain-list li { overflow-wrap: anywhere; }
    .command { display: flex; gap: .5rem; align-items: baseline; margin: .4rem 0; } .command code { background: var(--surface); padding: .15rem .4rem; border-radius: .25rem; }
    .live { margin-left: .6rem; } .live.lost { position: fixed; top: 0; left: 0; right: 0; margin: 0; padding: .5rem 1rem; text-align: center; font-weight: 700; background: var(--warn-ground); color: var(--warn); z-index: 3; }
    .notice { padding: .6rem .9rem; border-radius: .4rem; background: var(--surface); } .sign-in { max-width: 26rem; margin: 3rem auto; }
    .services { table-layout: fixed; } .services th { width: 10%; } .services th:first-child, .services th:nth-child(2) { width: 18%; } .services th:nth-child(3) { width: 32%; }
    .services td { overflow-wrap: anywhere; } .services td.number { overflow-wrap: normal; } .services .why-cell { color: var(--quiet); font-size: .9rem; }
    @media (max-width: 46rem) {
      html { font-size: 14px; } body { padding: 0 .7rem 2rem; } h1 { font-size: 1.35rem; } .account .quiet { display: none; }
      header.top { gap: .2rem 1rem; padding: .3rem 0; } nav { order: 1; flex-basis: 100%; } nav ul { justify-content: space-between; gap: .2rem .5rem; }
      .banner { grid-template-columns: 1fr; gap: .5rem; } .halt { padding: .5rem; } form.halt p { display: none; } .why { grid-template-columns: 1fr; gap: .4rem; padding: .5rem .7rem; }
      .facts { display: block; } .facts > div { display: flex; gap: .6rem; } .facts dt { flex: 0 0 6.2rem; } .facts dd { overflow-wrap: anywhere; }
      button.big { padding: .7rem; } .safety { margin: .4rem 0; padding: .4rem .6rem; }
      .signals, .signals tbody, .services, .services tbody { display: block; } .signals thead, .services thead { position: absolute; left: -99rem; }
      .signals tr, .services tr { display: flex; flex-wrap: wrap; gap: 0 .8rem; padding: .35rem 0; align-items: center; } .signals tr.reason { padding-top: 0; }
      .signals th, .signals td, .services th, .services td { padding: .08rem 0; } .signals th, .services th { flex: 1 1 auto; width: auto; } .signals th[scope=row] { min-width: 6rem; } .narrow { display: inline; color: var(--quiet); font-family: system-ui, sans-serif; } .trend { display: none; }
      polyline.trend { display: inline; } }
    @media print { body { max-width: none; } .halt, .others, nav, .account, .copy, .skip, .live, button { display: none; } .banner { grid-template-columns: 1fr; }
      .log { max-height: none; } .scroll { overflow: visible; } .timeline { min-width: 0; } section { break-inside: avoid; } a { color: inherit; } }

    """
