"""Uses a server by the official Python client and prints what it saw as one JSON object: client.py http URL | stdio COMMAND ARGUMENT…"""
import asyncio
import json
import sys

from mcp import Client, StdioServerParameters, types

ASKED = []


async def elicit(context, params):
    ASKED.append(["elicitation", params.model_dump(mode="json", exclude_none=True)])
    return types.ElicitResult(action="accept", content={"username": "ada", "email": "a@example.org", "name": "Ada", "confirm": True})


async def sample(context, params):
    ASKED.append(["sampling", params.model_dump(mode="json", exclude_none=True)])
    return types.CreateMessageResult(role="assistant", model="none", content=types.TextContent(type="text", text="Paris"))


async def roots(context):
    return types.ListRootsResult(roots=[types.Root(uri="file:///home/project", name="project")])


async def main():
    logs = []

    async def log(params):
        logs.append(params.model_dump(mode="json", exclude_none=True))

    target = sys.argv[2] if sys.argv[1] == "http" else StdioServerParameters(command=sys.argv[2], args=sys.argv[3:])
    seen = {}
    async with Client(target, elicitation_callback=elicit, sampling_callback=sample, list_roots_callback=roots, logging_callback=log, mode="legacy") as client:

        async def step(name, act):
            ASKED.clear()
            try:
                outcome = (await act()).model_dump(mode="json", exclude_none=True)
            except Exception as error:
                outcome = {"error": str(error)}
            seen[name] = {"outcome": outcome, "asked": list(ASKED)}

        await step("tools", client.list_tools)
        await step("resources", client.list_resources)
        await step("templates", client.list_resource_templates)
        await step("prompts", client.list_prompts)
        for tool in (
            "test_simple_text",
            "test_image_content",
            "test_audio_content",
            "test_embedded_resource",
            "test_error_handling",
            "test_tool_with_progress",
            "test_input_required_result_elicitation",
            "test_input_required_result_sampling",
            "test_input_required_result_list_roots",
            "test_input_required_result_multiple_inputs",
            "no_such_tool",
        ):
            await step(tool, lambda tool=tool: client.call_tool(tool, {}))
        await step("arguments", lambda: client.call_tool("greet", {"name": "Ada", "big": 2**63}))
        for uri in ("test://static-text", "test://static-binary", "test://template/7/data", "test://nothing/there"):
            await step(f"read {uri}", lambda uri=uri: client.read_resource(uri))
        await step("prompt", lambda: client.get_prompt("test_prompt_with_arguments", {"arg1": "a", "arg2": "b"}))
        await step("logs", lambda: client.call_tool("test_tool_with_logging", {}))
    seen["heard"] = logs
    print(json.dumps(seen))


asyncio.run(main())
