/*
 * messages: sends SIP MESSAGE (RFC 3428) with baresip 1.1.0, and tells what became of it.
 *
 *   /sendmessage <number> <reference> <uri> <text>     from the account of that number, text/plain
 *   event MODULE "messages,answered,<reference> <status>"   the final response; status 0: there was none
 *
 * Why a module: baresip's own command has a fixed recipient (the current contact) and tells the outcome in a log alone.
 * What comes in, baresip answers with 200 and ctrl_tcp tells.
 *
 * Declarations are those of baresip.h 1.1.0 and re 2.0.1 as far as they are used here.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "sip.h"

struct call;

enum { LONGEST_REFERENCE = 64, LONGEST_URI = 256 };
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
	module_event("messages", "answered", numbered(0), NULL, "%s %u", reference,
		err || !msg ? 0u : (unsigned)msg->scode);
	free(reference);
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
	return cmd_register(baresip_commands(), cmdv, 1);
}


static int module_close(void)
{
	cmd_unregister(baresip_commands(), cmdv);

	return 0;
}


const struct mod_export exports = {"messages", "application", module_init, module_close};
