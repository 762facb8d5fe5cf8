"""The dashboard in a real browser, against a real run: add a camera, see boxes, draw a zone, acknowledge an alarm, lose and regain the server."""
import re
import signal
import unittest
import urllib.request

import browser
from browser import BrowserTest, expect

TOKEN = "admin-token-0123456789"


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
        expect(page.get_by_role("alert")).to_contain_text("url")  # the server's own words
        page.locator("dialog [name=url]").fill("synthetic://?size=320x180&rate=10&objects=3")
        page.get_by_role("button", name="Add", exact=True).click()
        page.wait_for_url("**/cameras/new")
        expect(page.get_by_test_id("state")).to_have_text("up")
        page.wait_for_function("() => document.querySelector('.stage canvas')?.dataset.picture")
        self.assertEqual(self.get("/api/v1/cameras/new")["state"], "up")
        page.get_by_role("link", name="Cameras", exact=True).click()
        page.get_by_role("searchbox").fill("new")
        expect(page.locator("[data-camera]")).to_have_count(1)

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
