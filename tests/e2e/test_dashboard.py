"""The dashboard in a real browser, against a real run: add a camera, see boxes, draw a zone, acknowledge an alarm, lose and regain the server."""
import json
import re
import signal
import unittest
import urllib.request

import browser
from browser import BrowserTest, expect

# Of each piece of text that is seen: the contrast with what is behind it (WCAG 2.2), and whether it belongs to something that is switched off.
CONTRAST = """() => {
  const parse = (text) => { const n = text.match(/[\\d.]+/g).map(Number); return [n[0], n[1], n[2], n.length > 3 ? n[3] : 1]; };
  const light = ([r, g, b]) => [r, g, b].map((v) => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; })
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (element) => {
    let over = [0, 0, 0, 0];
    for (let one = element; one; one = one.parentElement) {
      const style = getComputedStyle(one);
      if (style.backgroundImage !== "none") return null;
      const [r, g, b, a] = parse(style.backgroundColor);
      over = [r, g, b].map((v, i) => over[i] * over[3] + v * a * (1 - over[3])).concat(over[3] + a * (1 - over[3]));
      over = over.slice(0, 3).map((v) => (over[3] ? v / over[3] : 0)).concat(over[3]);
      if (over[3] > 0.99) return over;
    }
    return over;
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const text = walker.currentNode.textContent.trim();
    if (!text || !element.checkVisibility() || element.closest("canvas, svg, .stage, .tile .picture, option, script, style")) continue;
    const back = behind(element);
    if (!back) continue;
    const style = getComputedStyle(element);
    const a = light(parse(style.color)), b = light(back);
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    found.push({text: text.slice(0, 30), ratio: Math.round(ratio * 100) / 100, is_off: !!element.closest(":disabled")});
  }
  return found;
}"""

# Charts whose title is broken into lines, or whose legend leaves the card.
CROWDED_CAPTIONS = """() => [...document.querySelectorAll(".chart")].filter((chart) => {
  const edge = chart.getBoundingClientRect().right - parseFloat(getComputedStyle(chart).paddingRight) + 0.5;
  const title = chart.querySelector("figcaption > b");
  return title.getClientRects().length > 1 || title.getBoundingClientRect().height > 1.6 * parseFloat(getComputedStyle(title).fontSize)
    || [...chart.querySelectorAll(".key")].some((key) => key.getBoundingClientRect().right > edge);
}).map((chart) => chart.querySelector("figcaption").textContent)"""

TOKEN = "admin-token-0123456789"
OPERATE_TOKEN = "operate-token-0123456789"
VIEW_TOKEN = "view-token-0123456789"


@unittest.skipIf(browser.why_unavailable(), browser.why_unavailable())
class DashboardTest(BrowserTest):
    def test_the_build_has_a_dashboard_that_needs_nothing_from_elsewhere(self):
        self.start_server()
        page = urllib.request.urlopen(self.address("/cameras/line-1"), timeout=30).read().decode()
        files = re.findall(r'(?:src|href)="([^"]+)"', page)
        self.assertTrue(files)
        for name in files:
            self.assertTrue(name.startswith("/") and not name.startswith("//"), name)
            answer = urllib.request.urlopen(self.address(name), timeout=30)
            if name.startswith("/assets/"):
                self.assertIn("immutable", answer.headers["Cache-Control"])

    def test_a_camera_is_added_and_its_boxes_are_seen(self):
        self.start_server()
        page = self.open_page()
        canvas = self.boxes_on(page, "[data-camera=line-1] canvas")
        self.assertEqual(canvas.get_attribute("data-origin"), "inferred")
        page.get_by_role("button", name="Add camera").click()
        page.locator("dialog [name=id]").fill("new")
        page.locator("dialog [name=url]").fill("file:///etc/passwd")
        page.get_by_role("button", name="Add", exact=True).click()
        expect(page.locator("dialog .field", has=page.locator("[name=url]")).get_by_role("alert")).to_contain_text("file")  # the server's own words, where they belong
        page.locator("dialog [name=url]").fill("synthetic://?size=320x180&rate=10&objects=3")
        page.get_by_role("button", name="Add", exact=True).click()
        page.wait_for_url("**/cameras/new")
        expect(page.get_by_test_id("state")).to_have_text("up")
        page.wait_for_function("() => document.querySelector('.stage canvas')?.dataset.picture")
        self.assertEqual(self.get("/api/v1/cameras/new")["state"], "up")
        page.get_by_role("link", name="Cameras", exact=True).click()
        page.get_by_role("searchbox").fill("new")
        expect(page.locator("[data-camera]")).to_have_count(1)

    GATE = "  - {id: gate-2, url: 'rtsp://127.0.0.1:9/none', username: viewer, password: geheim-0123}\nengine:"

    def test_the_settings_of_a_camera_are_changed_on_its_page(self):
        """By keyboard, from a camera that does not work to one that does; what the form does not show stays as it is."""
        self.start_server(site=self.SITE.replace("engine:", self.GATE))
        page = self.open_page("/cameras/gate-2")
        changes = []
        page.on("request", lambda request: changes.append(request.post_data_json) if request.method == "PATCH" else None)
        edit = page.get_by_role("button", name="Edit settings")
        field = lambda name: page.locator(f"dialog [name={name}]")
        refusal = lambda name: page.locator("dialog .field", has=page.locator(f"[name={name}]")).get_by_role("alert")
        edit.press("Enter")
        for name, value in {"url": "rtsp://127.0.0.1:9/none", "username": "", "password": "", "rate": "5", "slo": "500ms", "priority": "normal",
                            "policy": "", "transport": "auto", "frozen_after": "30s"}.items():
            expect(field(name)).to_have_value(value)
        expect(field("password")).to_have_attribute("placeholder", "unchanged")
        field("slo").fill("40")
        field("slo").press("Enter")
        expect(refusal("slo")).to_contain_text('"40" is not a duration')
        expect(field("slo")).to_be_focused()
        field("slo").fill("300ms")
        field("policy").select_option("hold")
        field("url").fill("synthetic://?size=320x180&rate=10&objects=3")
        field("url").press("Enter")
        expect(refusal("password")).to_contain_text("again")  # it is not sent elsewhere unasked
        expect(refusal("slo")).to_have_count(0)
        self.assertEqual(self.get("/api/v1/cameras/gate-2")["settings"]["slo"], "500ms", "all or nothing")
        page.get_by_label("Forget user and password").press("Space")
        page.get_by_role("button", name="Save", exact=True).press("Enter")
        expect(page.locator("dialog")).to_have_count(0)
        expect(edit).to_be_focused()
        expect(page.get_by_test_id("state")).to_have_text("up")
        settings = self.get("/api/v1/cameras/gate-2")["settings"]
        self.assertEqual((settings["slo"], settings["policy"], settings["rate"]), ("300ms", "hold", 5))
        self.assertEqual(changes[-1], {"url": "synthetic://?size=320x180&rate=10&objects=3", "slo": "300ms", "policy": "hold", "username": None, "password": None})

        edit.click()
        page.get_by_label("Sampled by").select_option("every")
        field("every").fill("2")
        field("every").press("Enter")
        expect(page.get_by_text("of each 2nd frame")).to_be_visible()
        self.assertEqual(changes[-1], {"every": 2})
        edit.click()
        field("every").fill("")
        field("every").press("Enter")
        expect(page.get_by_text("of 5/s")).to_be_visible()  # that of the defaults
        edit.click()
        field("slo").fill("2s")
        page.keyboard.press("Escape")
        expect(page.locator("dialog")).to_have_count(0)
        edit.click()
        expect(field("slo")).to_be_visible()  # before that the key would go to the button below
        expect(field("slo")).to_have_value("300ms")
        asked = len(changes)
        field("slo").press("Enter")  # nothing differs: the camera is not disconnected for it
        expect(page.locator("dialog")).to_have_count(0)
        self.assertEqual(len(changes), asked)

    def test_who_may_not_change_a_camera_is_not_offered_to(self):
        self.start_server(server=f"token: {TOKEN}, operate_token: {OPERATE_TOKEN}, view_token: {VIEW_TOKEN}")
        for token, offered in ((VIEW_TOKEN, set()), (OPERATE_TOKEN, {"Pause", "Restart"}), (TOKEN, {"Pause", "Restart", "Edit settings", "Remove"})):
            page = self.open_page("/cameras/line-1")
            page.locator("dialog input").fill(token)
            page.get_by_role("button", name="Use it").click()
            self.boxes_on(page, ".stage canvas")
            self.assertEqual(set(page.locator(".camera-page > .tools button").all_text_contents()), offered)

    def test_a_camera_that_is_not_there_is_told_to_people(self):
        self.start_server()
        page = self.open_page("/cameras/nosuch")
        expect(page.locator("main")).to_contain_text("There is no camera nosuch.")
        expect(page.locator("main")).not_to_contain_text("api")
        page.get_by_role("link", name="To the cameras").click()
        expect(page.locator("[data-camera=line-1]")).to_be_visible()

    def test_figures_of_policy_adaptive_say_what_they_are(self):
        self.start_server(site=self.SITE.replace("policy: full", "policy: adaptive, budget: 0.4, audit: 0.5"))
        page = self.open_page("/cameras/line-1")
        figures = page.locator(".numbers")
        expect(figures).to_contain_text(re.compile(r"\d\.\d{3} to \d\.\d{3}, \d+ audits?"))
        need = figures.locator("abbr")
        expect(need).to_have_text(re.compile(r"^need (\d\.\d\d?|[\d\u2009]+)$"))
        expect(need).to_have_attribute("title", re.compile("wrong"))
        expect(page.locator(".chart", has_text="Need")).to_contain_text("boxes that are wrong")  # also where nothing hovers

    def test_a_mask_is_drawn_with_the_mouse_and_moved_by_keyboard(self):
        self.start_server()
        page = self.open_page("/cameras/line-1")
        self.boxes_on(page, ".stage canvas")
        page.get_by_role("button", name="Edit zones and rules").click()
        page.get_by_role("button", name="Draw mask").click()
        area = page.locator(".editor").bounding_box()
        for x, y in ((0.1, 0.1), (0.4, 0.1), (0.4, 0.5), (0.1, 0.1)):
            page.mouse.click(area["x"] + x * area["width"], area["y"] + y * area["height"])
        page.get_by_role("button", name=re.compile("^Corner 3 ")).focus()
        page.keyboard.press("Shift+ArrowRight")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_text("Saved.")).to_be_visible()
        (mask,) = self.get("/api/v1/cameras/line-1")["settings"]["mask"]
        for (x, y), (want_x, want_y) in zip(mask, ((0.1, 0.1), (0.4, 0.1), (0.45, 0.5)), strict=True):
            self.assertAlmostEqual(x, want_x, delta=0.005)
            self.assertAlmostEqual(y, want_y, delta=0.005)
        self.boxes_on(page, ".stage canvas")

    def test_a_zone_and_a_rule_raise_an_alarm_that_is_acknowledged(self):
        self.start_server()
        page = self.open_page("/cameras/line-1")
        self.boxes_on(page, ".stage canvas")
        page.get_by_role("button", name="Edit zones and rules").click()
        page.get_by_role("button", name="Draw zone").click()
        editor = page.locator(".editor")
        editor.press("Shift+ArrowLeft")  # all by keyboard
        for keys in (["Shift+ArrowLeft"] * 7 + ["Shift+ArrowUp"] * 8, ["Shift+ArrowRight"] * 16, ["Shift+ArrowDown"] * 17, ["Shift+ArrowLeft"] * 16):
            for key in keys:
                editor.press(key)
            editor.press(" ")
        editor.press("Enter")
        page.locator(".rule-form [name=place]").select_option("zone-1")
        page.locator(".rule-form [name=severity]").select_option("critical")
        page.get_by_role("button", name="Add rule").click()
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_text("Saved.")).to_be_visible()
        zone = self.get("/api/v1/cameras/line-1")["settings"]["zones"]["zone-1"]
        self.assertEqual(len(zone), 4)
        page.get_by_role("link", name=re.compile("^Alarms")).click()
        row = page.locator(".alarm-row[data-state=raised]").first
        expect(row).to_contain_text("line-1")
        alarm = row.get_attribute("data-alarm")
        row.get_by_role("button", name="Acknowledge").click()
        expect(page.locator(f"[data-alarm='{alarm}']")).not_to_have_attribute("data-state", "raised")
        self.assertIsNotNone(self.get(f"/api/v1/alarms/{alarm}")["acknowledged_at"])

    def test_every_page_on_a_phone_and_in_both_colours(self):
        """With alarms and a camera that is down, so that there is something in every colour."""
        rules = "rules: [{id: many, kind: count, over: 0, severity: critical}, {id: some, kind: presence}]"
        self.start_server(site=self.SITE.replace("loop: true", "loop: true, " + rules).replace("engine:", "  - {id: gate-2, url: 'rtsp://127.0.0.1:9/none'}\nengine:"))
        backgrounds = {}
        for scheme in ("light", "dark"):
            for size in ({"width": 390, "height": 844}, {"width": 1280, "height": 800}):
                page = self.open_page(color_scheme=scheme, **{"viewport": size})
                for path in ("/", "/cameras/line-1", "/cameras/gate-2", "/alarms", "/fleet"):
                    with self.subTest(scheme=scheme, width=size["width"], path=path):
                        page.goto(self.address(path))
                        page.locator("main").first.wait_for()
                        expect(page.locator("header [role=status]")).to_have_text("Live")
                        expect(page.locator("header nav .critical")).to_be_visible()
                        page.wait_for_function("document.fonts.ready")
                        wide = page.evaluate("document.scrollingElement.scrollWidth")
                        self.assertLessEqual(wide, size["width"], "nothing sticks out to the side")
                        backgrounds.setdefault(scheme, set()).add(page.evaluate("getComputedStyle(document.documentElement).backgroundColor"))
                        contrast = page.evaluate(CONTRAST)
                        self.assertEqual([one for one in contrast if one["ratio"] < 4.5 and not one["is_off"]], [], "text can be read")
                        self.assertEqual(page.evaluate(CROWDED_CAPTIONS), [], "a chart's title and legend have room")
                with self.subTest(scheme=scheme, width=size["width"], dialog="settings"):
                    page.goto(self.address("/cameras/gate-2"))
                    page.get_by_role("button", name="Edit settings").click()
                    page.locator("dialog [name=slo]").fill("40")
                    page.get_by_role("button", name="Save", exact=True).click()
                    expect(page.locator("dialog").get_by_role("alert")).to_be_visible()
                    box = page.locator("dialog").bounding_box()
                    self.assertTrue(0 <= box["x"] and box["x"] + box["width"] <= size["width"] and 0 <= box["y"] and box["y"] + box["height"] <= size["height"], box)
                    self.assertEqual([one for one in page.evaluate(CONTRAST) if one["ratio"] < 4.5 and not one["is_off"]], [], "text can be read")
        self.assertEqual([len(found) for found in backgrounds.values()], [1, 1])
        self.assertNotEqual(backgrounds["light"], backgrounds["dark"])

    def test_the_fleet_page_says_how_the_run_is_and_what_is_wrong(self):
        self.start_server(site=self.SITE.replace("engine:", "  - {id: gate-2, url: 'rtsp://127.0.0.1:9/none'}\nengine:"))
        page = self.open_page("/fleet")
        expect(page.locator(".headroom .big")).to_contain_text("more camera")
        expect(page.get_by_role("meter", name="Memory")).to_be_visible()
        expect(page.locator(".headroom")).to_contain_text("1 camera takes")  # how much is another figure each second
        self.assertIn("1 camera takes", self.get("/api/v1/plan")["explanation"])
        troubles = page.locator("section", has_text="Cameras that are not as they should be")
        expect(troubles).to_contain_text("(1)")
        expect(troubles).to_contain_text("No connection")
        expect(troubles).to_contain_text("Check power, network and address")
        troubles.get_by_role("link", name="gate-2").click()
        page.wait_for_url("**/cameras/gate-2")
        expect(page.locator("main")).to_contain_text("No connection")
        expect(page.locator("main")).to_contain_text("refused")  # what the network said
        page.goto(self.address("/"))
        tile = page.locator("[data-camera=gate-2]")
        expect(tile).to_contain_text("Connection refused")  # the reason, not a word for it
        self.assertEqual(tile.inner_text().count("down"), 1, "once is enough")
        expect(tile.locator(".why")).to_have_attribute("title", re.compile("^No connection: rtsp://127.0.0.1:9/none: Connection refused"))

    def test_the_fleet_page_shows_models_that_are_out_and_how_busy_a_card_is(self):
        """A device of this machine has no such trouble, so it is put into the figures on their way to the page."""
        self.start_server()
        out = {"model": "defects", "variant": "steel@640x384", "out_s": 12, "stands_in": True, "last_error": "no such operator"}

        def alter(stream):
            server = stream.connect_to_server()

            def pass_on(text):
                message = json.loads(text)
                for device in message.get("devices", []):
                    self.assertEqual((device["models_out"], device["card_utilization"]), ([], None))
                    device["models_out"] = [out, {**out, "model": "objects", "variant": "objects", "stands_in": False}]
                    device["card_utilization"] = 0.87
                stream.send(json.dumps(message))
            server.on_message(pass_on)

        page = self.open_page()
        page.route_web_socket("**/api/v1/stream", alter)
        page.goto(self.address("/fleet"))
        told = page.locator(".card .model-out")
        expect(told).to_have_count(2)
        expect(told.nth(0)).to_contain_text("defects (steel@640x384), for 12 s")
        expect(told.nth(0)).to_contain_text("Another device runs them meanwhile.")
        expect(told.nth(0)).to_contain_text("Last error: no such operator.")
        expect(told.nth(0).locator(".severity")).to_have_class("severity warning")
        expect(told.nth(1)).to_contain_text("No other device has it")
        expect(told.nth(1).locator(".severity")).to_have_class("severity critical")
        expect(page.get_by_role("meter", name="Card, all programs")).to_have_attribute("aria-valuenow", "87")

    def test_hundreds_of_cameras_are_found_by_search_and_by_keyboard(self):
        cameras = "".join(f"  - {{id: hall-{n}, url: 'synthetic://?size=64x64&rate=1&objects=0', rate: 1}}\n" for n in range(300))
        self.start_server(site=self.SITE.replace("engine:", cameras + "engine:").replace("policy: full", "policy: hold, budget: 0.05"))
        page = self.open_page("/")
        expect(page.locator(".pages")).to_contain_text("301 cameras")
        self.assertLessEqual(page.locator("[data-camera]").count(), 60, "no more pictures than can be kept fresh")
        page.keyboard.press("PageDown")
        expect(page.locator(".pages")).to_contain_text("Page 2 of")
        page.keyboard.press("/")
        page.keyboard.type("hall-29")
        expect(page.locator(".pages")).to_contain_text("11 cameras")  # 29 and 290 to 299
        page.keyboard.press("Tab")
        self.assertEqual(page.evaluate("document.activeElement.tagName"), "SELECT")
        for _ in range(30):  # every tile is reached
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.closest('[data-camera]')?.dataset.camera") == "hall-29":
                break
        page.keyboard.press("Enter")
        page.wait_for_url("**/cameras/hall-29")

    def test_a_lost_server_is_told_at_once_and_regained_by_itself(self):
        process = self.start_server()
        page = self.open_page()
        self.boxes_on(page, "[data-camera=line-1] canvas")
        expect(page.get_by_role("status")).to_have_text("Live")
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=30)
        expect(page.locator(".disconnected")).to_contain_text(re.compile(r"Disconnected since \d\d:\d\d:\d\d"))
        expect(page.locator("[data-camera=line-1]")).to_be_visible()  # the last that was known stays, and is said to be old
        self.start_server()
        expect(page.get_by_role("status")).to_have_text("Live")
        expect(page.locator(".disconnected")).to_have_count(0)
        self.boxes_on(page, "[data-camera=line-1] canvas")

    def test_a_token_is_asked_for_and_never_in_an_address(self):
        self.start_server(server=f"token: {TOKEN}")
        addresses = []
        page = self.open_page()
        page.on("request", lambda request: addresses.append(request.url))
        page.on("websocket", lambda one: addresses.append(one.url))
        page.locator("dialog input").fill("wrong-token-0123456789")
        page.get_by_role("button", name="Use it").click()
        expect(page.get_by_role("alert")).to_contain_text("does not know")
        page.locator("dialog input").fill(TOKEN)
        page.get_by_role("button", name="Use it").click()
        self.boxes_on(page, "[data-camera=line-1] canvas")
        self.assertTrue(addresses)
        for address in addresses:
            self.assertNotIn(TOKEN, address)
        self.assertEqual(page.evaluate("localStorage.length"), 0)


if __name__ == "__main__":
    unittest.main()
