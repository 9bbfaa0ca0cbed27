/*
 * messages: sends SIP MESSAGE (RFC 3428) with baresip 1.1.0, and tells what became of it.
 *
 *   /sendmessage <number> <reference> <uri> <text>     from the account of that number, text/plain
 *   event MODULE "messages,answered,<reference> <status> <call-id>"   the final response; status 0: there was none
 *   event MODULE "messages,receipt,<call-id> <outcome> <user>"        what became of one that had to wait: a delivery
 *                                                                     notification (RFC 5438), `delivered` or `failed`
 *
 * Why a module: baresip's own command has a fixed recipient (the current contact) and tells the outcome in a log alone.
 * What comes in, baresip answers with 200 and ctrl_tcp tells.
 *
 * Declarations are those of baresip.h 1.1.0 and re 2.0.1 as far as they are used here.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "sip.h"

struct call;

enum { LONGEST_REFERENCE = 64, LONGEST_URI = 256, LONGEST_ID = 96, LONGEST_USER = 32 };

static struct sip_lsnr *listener;
void module_event(const char *module, const char *event, struct ua *ua, struct call *call, const char *fmt, ...);


static struct ua *numbered(long number)
{
	struct le *le = uag_list()->head;

	for (; le && number > 0; number--)
		le = le->next;

	return le && number == 0 ? le->data : NULL;
}


static void on_response(int err, const struct sip_msg *msg, void *arg)
{
	char *reference = arg;

	/* any account's: the sender's may have gone meanwhile */
	if (err || !msg) {
		module_event("messages", "answered", numbered(0), NULL, "%s 0 -", reference);
	}
	else {
		struct pl id = {msg->callid.p, msg->callid.l < LONGEST_ID ? msg->callid.l : LONGEST_ID};

		module_event("messages", "answered", numbered(0), NULL, "%s %u %r", reference, (unsigned)msg->scode, &id);
	}
	free(reference);
}


/* What stands between two marks: letters, digits and a few signs, nothing else. */
static bool between(const char *text, size_t length, const char *begin, const char *end, char *found, size_t room)
{
	const char *from = memmem(text, length, begin, strlen(begin)), *to;
	size_t n;

	if (!from)
		return false;
	from += strlen(begin);
	to = memmem(from, length - (size_t)(from - text), end, strlen(end));
	n = to ? (size_t)(to - from) : 0;
	if (n == 0 || n >= room || strspn(from, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._@~") < n)
		return false;
	memcpy(found, from, n);
	found[n] = '\0';
	return true;
}


/* Notifications are for the phone itself: nobody is shown one as a message. */
static bool on_request(const struct sip_msg *msg, void *arg)
{
	static const char method[] = "MESSAGE", subtype[] = "imdn+xml";
	char id[LONGEST_ID + 1], user[LONGEST_USER + 1];
	const char *body, *outcome;
	size_t length;
	(void)arg;

	if (msg->met.l != strlen(method) || memcmp(msg->met.p, method, strlen(method)) != 0
		|| msg->ctyp.subtype.l != strlen(subtype) || memcmp(msg->ctyp.subtype.p, subtype, strlen(subtype)) != 0
		|| !msg->mb || msg->mb->end <= msg->mb->pos)
		return false;

	body = (const char *)msg->mb->buf + msg->mb->pos;
	length = msg->mb->end - msg->mb->pos;
	outcome = memmem(body, length, "<delivered/>", strlen("<delivered/>")) ? "delivered" : "failed";
	if (between(body, length, "<message-id>", "</message-id>", id, sizeof(id))
		&& between(body, length, "<recipient-uri>sip:", "@", user, sizeof(user)))
		module_event("messages", "receipt", numbered(0), NULL, "%s %s %s", id, outcome, user);
	(void)sip_reply(uag_sip(), msg, 200, "OK");

	return true;
}


static int cmd_sendmessage(struct re_printf *pf, void *arg)
{
	const char *words = ((struct cmd_arg *)arg)->prm;
	char reference[LONGEST_REFERENCE + 1], uri[LONGEST_URI + 1], *kept;
	long number = -1;
	int text = 0, err;
	struct ua *ua;

	if (!words || sscanf(words, "%ld %64s %256s %n", &number, reference, uri, &text) != 3 || !text) {
		re_hprintf(pf, "sendmessage: <number> <reference> <uri> <text>\n");
		return EINVAL;
	}
	ua = numbered(number);
	if (!ua) {
		re_hprintf(pf, "sendmessage: no such account\n");
		return ENOENT;
	}
	kept = strdup(reference);
	if (!kept)
		return ENOMEM;

	err = sip_req_send(ua, "MESSAGE", uri, on_response, kept,
		"Content-Type: text/plain\r\n"
		"Content-Length: %zu\r\n"
		"\r\n%s",
		strlen(words + text), words + text);
	if (err)
		free(kept);

	return err;
}


static const struct cmd cmdv[] = {
	{"sendmessage", 0, CMD_PRM, "Send a message <number> <reference> <uri> <text>", cmd_sendmessage},
};


static int module_init(void)
{
	int err = sip_listen(&listener, uag_sip(), true, on_request, NULL);

	return err ? err : cmd_register(baresip_commands(), cmdv, 1);
}


static int module_close(void)
{
	cmd_unregister(baresip_commands(), cmdv);
	listener = mem_deref(listener);

	return 0;
}


const struct mod_export exports = {"messages", "application", module_init, module_close};
